"""What a debugger that was killed has left in its target: breakpoints that would stop it again."""

from __future__ import annotations

from collections.abc import Callable

from harness.breakpoints.debugregisters import ADDRESSES, DR7_OFF, SpecialRegisterPlace, place_of
from harness.breakpoints.plan import MAX_PLANTED
from harness.debuggers.native.targetmemory import REQUEST_SECONDS
from harness.kd.manipulate import Manipulate, ReadControlSpace, RestoreBreakPoint, WriteControlSpace

__all__ = ["remove_leftovers"]

Ask = Callable[[Manipulate, float], Manipulate]


def remove_leftovers(ask: Ask, machine_type: int, processors: int) -> bool:
    """Take the breakpoints of a dead debugger away; whether there were any.

    A target that has some has an address in the debug registers of its processor 0, see
    :class:`~harness.breakpoints.plan.BreakpointPlan`, which is taken away last. All others are asked no more
    than that.
    """
    place = place_of(machine_type)
    if place is None:
        return False
    first = _registers(ask, place, 0)
    if first is None or not any(place.read(first)[0]):
        return False
    for handle in range(1, MAX_PLANTED + 1):
        ask(RestoreBreakPoint(handle=handle), REQUEST_SECONDS)
    for processor in reversed(range(processors)):
        if (data := _registers(ask, place, processor)) is not None:
            request = WriteControlSpace(
                processor=processor,
                address=place.address,
                count=place.size,
                data=place.patched(data, (0,) * ADDRESSES, DR7_OFF),
            )
            ask(request, REQUEST_SECONDS)
    return True


def _registers(ask: Ask, place: SpecialRegisterPlace, processor: int) -> bytes | None:
    request = ReadControlSpace(processor=processor, address=place.address, count=place.size)
    reply = ask(request, REQUEST_SECONDS)
    assert isinstance(reply, ReadControlSpace)
    return reply.data if reply.succeeded and len(reply.data) >= place.size else None
