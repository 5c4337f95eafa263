"""The record that lets a halted target run."""

from __future__ import annotations

from harness.kd.contexts import MACHINE_I386
from harness.kd.manipulate import Continue2
from harness.kd.status import DBG_CONTINUE

__all__ = ["continue_record"]


def continue_record(machine: int, *, step: bool = False, status: int = DBG_CONTINUE) -> Continue2:
    """The Continue2 that lets a target of this PE machine type run, or run one instruction.

    :param status: what becomes of the exception that it stands at; DBG_EXCEPTION_NOT_HANDLED: the target
        looks for a handler of its own.
    """
    if machine == MACHINE_I386:
        # On x86 the same bytes are four u32: trace flag, Dr7, symbol start, symbol end.
        return Continue2(continue_status=status, trace_flag=int(step), dr7=0x400, current_symbol_start=0)
    return Continue2(continue_status=status, trace_flag=int(step))
