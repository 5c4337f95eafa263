"""The virtual target's clock: moved only by the model, never by the computer it runs on."""

from __future__ import annotations

__all__ = ["DEFAULT_BOOT_SYSTEM_TIME", "MICROSECOND", "MILLISECOND", "SECOND", "TSC_PER_UNIT", "Clock"]

MICROSECOND = 10
"""One microsecond in the clock's units of 100 ns."""
MILLISECOND = 1_000 * MICROSECOND
SECOND = 1_000 * MILLISECOND

TSC_PER_UNIT = 300
"""Counts of the time stamp counter in 100 ns: a processor of 3 GHz."""

DEFAULT_BOOT_SYSTEM_TIME = 132_539_328_000_000_000
"""2021-01-01 00:00 UTC as a FILETIME: fixed, because a wall clock would make two runs differ."""


class Clock:
    """Interrupt time and system time of the target.

    :param boot_system_time: FILETIME (100 ns units since 1601-01-01 UTC) at which interrupt time was 0.
    :param now: interrupt time to start at, in 100 ns units since boot.
    """

    __slots__ = ("_now", "boot_system_time")

    def __init__(self, boot_system_time: int = DEFAULT_BOOT_SYSTEM_TIME, *, now: int = 0) -> None:
        if boot_system_time < 0 or now < 0:
            raise ValueError(f"a clock starts at 0 or later, not at {boot_system_time} and {now}")
        self.boot_system_time = boot_system_time
        self._now = now

    @property
    def now(self) -> int:
        """Interrupt time: 100 ns units since boot."""
        return self._now

    @property
    def system_time(self) -> int:
        """FILETIME: 100 ns units since 1601-01-01 UTC."""
        return self.boot_system_time + self._now

    def advance(self, duration: int) -> None:
        """Let ``duration`` (100 ns units, not negative) pass."""
        if duration < 0:
            raise ValueError(f"time does not run backwards ({duration})")
        self._now += duration

    def advance_to(self, time: int) -> None:
        """Let time pass until ``time``; a moment that has gone by already changes nothing."""
        self._now = max(self._now, time)
