"""The standing rules about requests: what a dispatch routine answers, what a completed one gives back.

Sources: Microsoft, *Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION*, the errors 0x224, 0x226, 0x23D and
0x23E of I/O Verification; *Failure to Initialize Output Buffers*, *Buffer Descriptions for I/O Control
Codes*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.virtual.kernel.irps import IoRequest, Method
from harness.virtual.windows.status import STATUS_PENDING

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["tell_answer", "tell_information"]


def tell_answer(system: System, request: IoRequest, returned: int, *, marked: bool) -> None:
    """A dispatch routine has returned.

    :param returned: its NTSTATUS.
    :param marked: the request was marked pending, by now or when it was completed.
    """
    driver = system.module_at(request.routine)
    if driver is None:
        return
    completed = request.result
    if marked != (returned == STATUS_PENDING):
        rule, what = (
            ("MarkIrpPending", f"answers 0x{returned:08x} to a request that it marked pending")
            if marked
            else ("MarkIrpPending2", "answers STATUS_PENDING to a request that it did not mark pending")
        )
    elif returned == STATUS_PENDING:
        return
    elif completed is None:
        what = f"answers 0x{returned:08x} to a request that it neither completed nor marked pending"
        rule = "IrpProcessingComplete"
    elif completed.status != returned:
        what = f"answers 0x{returned:08x} to a request that it completed with 0x{completed.status:08x}"
        rule = "DispatchStatus"
    else:
        return
    name, place = driver.module.name, system.place(request.routine)
    message = f"{name} {what}: {request.major.name}, by the routine at {place}"
    system.broken_rules.add(rule, name, place, message)


def tell_information(system: System, request: IoRequest, information: int) -> None:
    """A request is completed, and ``information`` bytes of its system buffer go back to who sent it."""
    size = request.transfer.into.size
    if not size or not request.system_buffer or request.transfer.method is not Method.BUFFERED:
        return
    site = system.call_site()
    if information > size and site is not None:
        place = system.place(site.address)
        message = (
            f"{site.driver} completes a request with {information} bytes of information, of which its buffer"
            f" has {size}: {request.major.name}, at {place}"
        )
        system.broken_rules.add("IrpInformation", site.driver, place, message)
