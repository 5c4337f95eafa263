"""What a state change means at which a target stands."""

from __future__ import annotations

from typing import Final

from harness.debuggers.base import Stopped
from harness.debuggers.bugchecks import Banner
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.registers import Registers
from harness.debuggers.native.targetmemory import TargetMemory, UnreadableMemory
from harness.debuggers.stops import command_stop, exception_stop
from harness.errors import UsageError
from harness.kd.statechange import CommandString, Exception64, LoadSymbols, StateChange
from harness.kd.status import (
    DBG_STATUS_BUGCHECK_FIRST,
    DBG_STATUS_BUGCHECK_SECOND,
    DBG_STATUS_CONTROL_C,
    STATUS_BREAKPOINT,
)

__all__ = ["describe_stop", "read_bugcheck"]

_BUGCHECK_STATUSES: Final = (DBG_STATUS_BUGCHECK_FIRST, DBG_STATUS_BUGCHECK_SECOND)
_BREAK_IN_STATUSES: Final = (0, DBG_STATUS_CONTROL_C)
"""0: a processor whose arguments are not in registers."""


def read_bugcheck(registers: Registers, memory: TargetMemory) -> Banner | None:
    """The bugcheck for which the target stands at a break; None where it is for something else."""
    try:
        if registers.first_argument() not in _BUGCHECK_STATUSES:
            return None
        data = memory.bugcheck_data()
    except (UnreadableMemory, UsageError):
        return None
    return None if data is None else Banner(*data)


def describe_stop(change: StateChange, registers: Registers, talk: Conversation) -> Stopped:
    """The stop, where it is no bugcheck."""
    match change:
        case Exception64():
            return exception_stop(
                change.exception_code,
                change.program_counter,
                first_chance=bool(change.first_chance),
                break_in=_is_break_in(change, registers, talk),
            )
        case LoadSymbols():
            return Stopped(f"load symbols: {change.path}", 0, change.program_counter)
        case CommandString():
            # Never executed: the target is not trusted, and its text would run on the host.
            command = change.command.decode("utf-8", "backslashreplace")
            return command_stop(repr(command), change.program_counter)


def _is_break_in(change: Exception64, registers: Registers, talk: Conversation) -> bool:
    """This debugger asked for the stop. It asks again when the target is slow, so that one may come when the
    target runs on already."""
    if change.exception_code != STATUS_BREAKPOINT or not talk.break_ins:
        return False
    try:
        asked = registers.first_argument() in _BREAK_IN_STATUSES
    except (UnreadableMemory, UsageError):
        asked = True
    if asked:
        talk.answer_break_in()
    return asked
