"""How a halted target is let go from where it stands: past an instruction that would stop it again."""

from __future__ import annotations

import contextlib
from typing import Final

from harness.debuggers.native.breakpoints import Breakpoints
from harness.debuggers.native.callbackwatch import CallbackWatch
from harness.debuggers.native.continuing import continue_record
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.registers import Registers
from harness.debuggers.native.targetmemory import REQUEST_SECONDS, TargetMemory, UnreadableMemory
from harness.debuggers.stops import continue_status
from harness.errors import TargetLost, UsageError
from harness.kd.manipulate import Continue2
from harness.kd.statechange import Exception64, StateChange
from harness.kd.status import DBG_CONTINUE, STATUS_BREAKPOINT, STATUS_SINGLE_STEP

__all__ = ["resume"]

STEP_SECONDS: Final = 5.0


def resume(
    change: StateChange,
    talk: Conversation,
    memory: TargetMemory,
    registers: Registers,
    breakpoints: Breakpoints,
    watch: CallbackWatch | None,
) -> Continue2 | None:
    """The record that lets the target go on from ``change``, everything else being done; None: something
    stopped it first, which waits in the inbox."""
    at_watch = watch is not None and watch.stands_at_one
    if not at_watch:
        _skip_breakpoint_instruction(change, memory, registers, breakpoints)
        if breakpoints.to_step_over(change) and not _step(talk):
            return None
    breakpoints.insert_again()
    status = continue_status(change.exception_code) if isinstance(change, Exception64) else DBG_CONTINUE
    if watch is None:
        return continue_record(talk.machine, status=status)
    watch.prepare(change, handled=status == DBG_CONTINUE)
    return continue_record(talk.machine, status=status, step=watch.step, dr7=watch.dr7)


def _skip_breakpoint_instruction(
    change: StateChange, memory: TargetMemory, registers: Registers, breakpoints: Breakpoints
) -> None:
    """The processor stands on an ``int3`` of the code's own: go on behind it.

    Where that is, the stop says. The context does not: a debugger that was killed may have moved it on
    already, and the target reports the same stop to the next one.
    """
    if not isinstance(change, Exception64) or change.exception_code != STATUS_BREAKPOINT:
        return
    if registers.written or breakpoints.to_step_over(change):
        return
    with contextlib.suppress(UnreadableMemory, UsageError):
        if memory.read(change.program_counter, 1) == b"\xcc":
            registers.move_to(change.program_counter + 1)


def _step(talk: Conversation) -> bool:
    """Run one instruction. False: something else stopped the target first; it waits in the inbox."""
    talk.command(continue_record(talk.machine, step=True), REQUEST_SECONDS)
    if not talk.wait(lambda: talk.halt is not None, STEP_SECONDS):
        raise TargetLost("the target did not come back from a single step")
    change = talk.halt
    if isinstance(change, Exception64) and change.exception_code == STATUS_SINGLE_STEP:
        talk.take_halt()
        return True
    return False
