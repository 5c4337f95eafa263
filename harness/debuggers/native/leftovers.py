"""What a debugger that was killed has left in its target: breakpoints that would stop it again."""

from __future__ import annotations

from collections.abc import Callable

from harness.breakpoints.debugregisters import ADDRESSES, DR7_OFF, place_of
from harness.breakpoints.plan import MAX_PLANTED
from harness.debuggers.native.targetmemory import REQUEST_SECONDS
from harness.kd.manipulate import Manipulate, ReadControlSpace, RestoreBreakPoint, WriteControlSpace

__all__ = ["remove_leftovers"]


def remove_leftovers(
    ask: Callable[[Manipulate, float], Manipulate], machine_type: int, processors: int
) -> bool:
    """Take the breakpoints of a dead debugger away; whether there were any.

    A target that has some has an address in its debug registers: see
    :class:`~harness.breakpoints.plan.BreakpointPlan`. All others are asked no more than that.
    """
    place = place_of(machine_type)
    if place is None:
        return False
    found = False
    for processor in range(processors):
        request = ReadControlSpace(processor=processor, address=place.address, count=place.size)
        reply = ask(request, REQUEST_SECONDS)
        assert isinstance(reply, ReadControlSpace)
        if not reply.succeeded or len(reply.data) < place.size:
            return found
        if not any(place.read(reply.data)[0]):
            return found
        found = True
        data = place.patched(reply.data, (0,) * ADDRESSES, DR7_OFF)
        ask(
            WriteControlSpace(processor=processor, address=place.address, count=place.size, data=data),
            REQUEST_SECONDS,
        )
        if processor == 0:
            for handle in range(1, MAX_PLANTED + 1):
                ask(RestoreBreakPoint(handle=handle), REQUEST_SECONDS)
    return found
