"""Who holds which lock, and in which order they were taken.

Two executions that take the same two locks in opposite orders can each come to hold what the other waits for,
whether or not they did so this time: Driver Verifier's deadlock detection reports it when it sees the second
order (Microsoft, *Deadlock Detection*; bug check 0xC4, 0x1001).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Hung
from harness.virtual.kernel.execution import Execution

__all__ = ["Locks"]

_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_LOCK_HIERARCHY_VIOLATION: Final = 0x1001
MAX_LOCKS: Final = 10_000
"""Locks whose order is remembered; with more nothing further is learned."""


class Locks:
    """Every lock that is held or was held together with another. A lock is its address.

    :param place: an address in a driver, for messages.
    """

    def __init__(self, place: Callable[[int], str]) -> None:
        self._place = place
        self._holders: dict[int, list[Execution]] = {}
        self._taken_at: dict[tuple[int, Execution], int] = {}
        """Where the holder called the kernel for it."""
        self._before: dict[int, dict[int, int]] = {}
        """Per lock those that were taken while it was held, and where."""

    def holders(self, lock: int) -> tuple[Execution, ...]:
        """Who holds it."""
        return tuple(self._holders.get(lock, ()))

    def since(self, lock: int, execution: Execution) -> str:
        """Where the execution took it; empty if it does not hold it."""
        place = self._taken_at.get((lock, execution))
        return "" if place is None else self._place(place)

    def demand_another(self, lock: int, execution: Execution | None, what: str) -> None:
        """The execution waits for a lock that cannot be taken twice.

        :param what: ``waits for the mutex at 0x...``.
        :raises Hung: it holds it itself.
        """
        if execution is not None and execution in self.holders(lock):
            raise Hung(f"{what}, which it took itself at {self.since(lock, execution)}")

    def wants(self, lock: int, execution: Execution | None, place: int) -> None:
        """The execution is about to take ``lock`` and waits if it must.

        :raises BugcheckRaised: 0xC4 (0x1001): it holds a lock that somebody took while holding this one.
        """
        if execution is None:
            return
        for other in execution.holds:
            if other == lock:
                continue
            path = self._path(lock, other)
            if path:
                raise BugcheckRaised(
                    *(_DRIVER_VERIFIER_DETECTED_VIOLATION, _LOCK_HIERARCHY_VIOLATION, lock, other, place),
                    story=self._violation(execution, path, place),
                )
            if other in self._before or len(self._before) < MAX_LOCKS:
                self._before.setdefault(other, {}).setdefault(lock, place)

    def taken(self, lock: int, execution: Execution | None, place: int) -> None:
        """The execution has it now; it called the kernel for it at ``place``."""
        if execution is not None:
            self._holders.setdefault(lock, []).append(execution)
            self._taken_at.setdefault((lock, execution), place)
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
        if owner not in holders:
            self._taken_at.pop((lock, owner), None)
        if not holders:
            del self._holders[lock]

    def forget(self, address: int, size: int = 1) -> None:
        """A lock is made anew in these bytes, or their memory is gone."""
        end = address + size
        for lock in [lock for lock in self._before if address <= lock < end]:
            del self._before[lock]
        for after in self._before.values():
            for lock in [lock for lock in after if address <= lock < end]:
                del after[lock]

    def _path(self, lock: int, to: int) -> list[int]:
        """From ``lock`` to ``to``, each of them taken while the one before it was held; empty if there is no
        such way."""
        came_from, look = {lock: lock}, [lock]
        while look:
            for after in self._before.get(last := look.pop(), ()):
                if after not in came_from:
                    came_from[after] = last
                    look.append(after)
        if to not in came_from:
            return []
        path = [to]
        while path[-1] != lock:
            path.append(came_from[path[-1]])
        return path[::-1]

    def _violation(self, execution: Execution, path: list[int], place: int) -> str:
        first, last = path[0], path[-1]
        places = [self._place(self._before[held][after]) for held, after in itertools.pairwise(path)]
        earlier = [
            f"0x{after:016x} was taken at {where} while 0x{held:016x} was held"
            for where, (held, after) in zip(places, itertools.pairwise(path), strict=True)
        ]
        return (
            f"locks in opposite orders: {execution} takes 0x{first:016x} at {self._place(place)} while it"
            f" holds 0x{last:016x}, taken at {self.since(last, execution)}; before, {', and '.join(earlier)}"
        )
