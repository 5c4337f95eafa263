"""Who holds which lock, and in which order they were taken.

Two executions that take the same two locks in opposite orders can each come to hold what the other waits for,
whether or not they did so this time: Driver Verifier's deadlock detection reports it when it sees the second
order (Microsoft, *Deadlock Detection*; bug check 0xC4, 0x1001).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.execution import Execution

__all__ = ["Locks"]

_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_LOCK_HIERARCHY_VIOLATION: Final = 0x1001
MAX_LOCKS: Final = 10_000
"""Locks whose order is remembered; with more nothing further is learned."""


class Locks:
    """Every lock that is held or was held together with another. A lock is its address."""

    def __init__(self) -> None:
        self._holders: dict[int, list[Execution]] = {}
        self._before: dict[int, set[int]] = {}
        """Per lock those that were taken while it was held."""

    def holders(self, lock: int) -> tuple[Execution, ...]:
        """Who holds it."""
        return tuple(self._holders.get(lock, ()))

    def wants(self, lock: int, execution: Execution | None, place: int) -> None:
        """The execution is about to take ``lock`` and waits if it must.

        :raises BugcheckRaised: 0xC4 (0x1001): it holds a lock that somebody took while holding this one.
        """
        held = () if execution is None else execution.holds
        for other in held:
            if other == lock:
                continue
            if self._leads(lock, other):
                raise BugcheckRaised(
                    _DRIVER_VERIFIER_DETECTED_VIOLATION, _LOCK_HIERARCHY_VIOLATION, lock, other, place
                )
            if other in self._before or len(self._before) < MAX_LOCKS:
                self._before.setdefault(other, set()).add(lock)

    def taken(self, lock: int, execution: Execution | None) -> None:
        """The execution has it now."""
        if execution is not None:
            self._holders.setdefault(lock, []).append(execution)
            execution.holds.append(lock)

    def given_back(self, lock: int, execution: Execution | None) -> None:
        """It is released once, by ``execution`` if that holds it, else by whoever does."""
        holders = self._holders.get(lock)
        if not holders:
            return
        owner = execution if execution in holders else holders[-1]
        assert owner is not None
        holders.remove(owner)
        owner.holds.remove(lock)
        if not holders:
            del self._holders[lock]

    def forget(self, address: int, size: int = 1) -> None:
        """A lock is made anew in these bytes, or their memory is gone."""
        end = address + size
        for lock in [lock for lock in self._before if address <= lock < end]:
            del self._before[lock]
        for after in self._before.values():
            after.difference_update([lock for lock in after if address <= lock < end])

    def _leads(self, lock: int, to: int) -> bool:
        """``to`` was taken while ``lock`` was held, at once or over others."""
        seen, look = {lock}, [lock]
        while look:
            for after in self._before.get(look.pop(), ()):
                if after == to:
                    return True
                if after not in seen:
                    seen.add(after)
                    look.append(after)
        return False
