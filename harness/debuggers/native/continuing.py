"""The record that lets a halted target run."""

from __future__ import annotations

from harness.breakpoints.debugregisters import DR7_OFF
from harness.kd.contexts import MACHINE_I386
from harness.kd.manipulate import Continue2
from harness.kd.status import DBG_CONTINUE

__all__ = ["continue_record"]


def continue_record(
    machine: int, *, step: bool = False, status: int = DBG_CONTINUE, dr7: int = DR7_OFF
) -> Continue2:
    """The Continue2 that lets a target of this PE machine type run, or run one instruction.

    :param status: what becomes of the exception that it stands at; DBG_EXCEPTION_NOT_HANDLED: the target
        looks for a handler of its own.
    :param dr7: for every processor; no hardware breakpoint outlives a continue that does not name it.
    """
    if machine == MACHINE_I386:
        # On x86 the same bytes are four u32: trace flag, Dr7, symbol start, symbol end.
        return Continue2(continue_status=status, trace_flag=int(step), dr7=dr7, current_symbol_start=0)
    return Continue2(continue_status=status, trace_flag=int(step), dr7=dr7)
