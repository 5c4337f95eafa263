"""What the kernel tells several notify routines of a driver: where calls are seen, it comes several times."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from harness.events import Event, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit

__all__ = ["Retold"]

_REMEMBERED: Final = 4096
"""Things of which it is known who was told; the routines of a driver are told one after the other."""

_Thing: TypeAlias = tuple[type[Event], int, int | None]


class Retold:
    """Feed it every event; memory does not grow with them."""

    def __init__(self) -> None:
        self._told: OrderedDict[_Thing, set[tuple[str, int]]] = OrderedDict()
        """The last beginning, or end, of a process or thread → the routines that were told of it."""

    def __call__(self, event: Event) -> bool:
        """Whether the event is a call that tells a further routine what another one was told already."""
        call = event.call
        if call is None:
            return False
        both = _things(event)
        if both is None:
            return False
        thing, other = both
        routine = call.driver, call.routine
        told = self._told.get(thing)
        if told is not None and routine not in told:
            told.add(routine)
            return True
        self._told.pop(other, None)
        self._told[thing] = {routine}
        self._told.move_to_end(thing)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return False


def _things(event: Event) -> tuple[_Thing, _Thing] | None:
    """The beginning or end that the event tells of, and the other of the two; None of other events."""
    match event:
        case ProcessCreate(pid=pid):
            return (ProcessCreate, pid, None), (ProcessExit, pid, None)
        case ProcessExit(pid=pid):
            return (ProcessExit, pid, None), (ProcessCreate, pid, None)
        case ThreadCreate(pid=pid, tid=tid):
            return (ThreadCreate, pid, tid), (ThreadExit, pid, tid)
        case ThreadExit(pid=pid, tid=tid):
            return (ThreadExit, pid, tid), (ThreadCreate, pid, tid)
        case _:
            return None
