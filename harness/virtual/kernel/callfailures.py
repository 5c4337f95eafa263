"""One call of a driver that fails, and where drivers call what may.

A call that is to fail is not made: the driver gets what the routine returns when it fails
(:mod:`harness.virtual.kernel.failures`), and nothing else happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.callplaces import CalledPlaces, CallPlace
from harness.virtual.kernel.exceptions.callstack import call_stack
from harness.virtual.kernel.failures import Arguments, CallFailure

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["MAX_PLACES", "CallFailures"]

_RETURN_ADDRESS: Final = 8
"""Bytes that a call pushes."""
MAX_PLACES: Final = 256
"""Places that are kept; calls at further ones are counted."""


class CallFailures:
    """Of one boot.

    :param wanted: the place whose first call fails; None: no call does.
    """

    def __init__(self, wanted: CallPlace | None) -> None:
        self._wanted = wanted
        self._places: dict[CallPlace, None] = {}
        self._beyond = 0
        self._failed: int | None = None

    @property
    def called(self) -> CalledPlaces:
        """What is known by now."""
        return CalledPlaces(tuple(self._places), self._beyond, self._failed)

    def answer(self, system: System, failure: CallFailure, arguments: Arguments) -> int | None:
        """What the export that is being called returns, as it fails; None: it is served."""
        place = _place(system)
        if place is None or not failure.may_fail(arguments):
            return None
        if place not in self._places:
            if len(self._places) >= MAX_PLACES:
                self._beyond += 1
            else:
                self._places[place] = None
        if place != self._wanted or self._failed is not None:
            return None
        self._failed = failure.result
        if failure.group:
            _tell_refusal(system, failure, arguments[failure.routine])
        return failure.result


def _tell_refusal(system: System, failure: CallFailure, routine: int) -> None:
    """As the export does where it refuses a callback."""
    site = system.call_site()
    assert site is not None, "a driver called"
    places = system.place(routine), system.place(site.address)
    system.broken_rules.registered(failure.group, places[0], failure.result, site, places[1])


def _place(system: System) -> CallPlace | None:
    """Where a driver calls; None where it is not known for which of its routines."""
    site, execution = system.call_site(), system.current
    if site is None or execution is None:
        return None
    driver = system.module_at(site.address)
    assert driver is not None, "a call site lies in a driver"
    module, registers = driver.module, system.cpu.all_registers()
    rsp = system.service_rsp
    at_return = {**registers, "rip": site.address, "rsp": rsp + _RETURN_ADDRESS}
    returns = call_stack(
        system.memory.read,
        system.exception_table,
        at_return,
        lambda at: module.base <= at < module.base + module.size,
    )
    stack = tuple(address - module.base for address in returns)
    return CallPlace(module.name, site.routine, stack, execution.kind or execution.what)
