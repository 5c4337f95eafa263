"""What a stop is called, and whose it is to handle: the same for every debugger."""

from __future__ import annotations

from typing import Final

from harness.debuggers.base import Stopped
from harness.kd.status import (
    DBG_CONTINUE,
    DBG_EXCEPTION_NOT_HANDLED,
    STATUS_ACCESS_VIOLATION,
    STATUS_BREAKPOINT,
    STATUS_SINGLE_STEP,
)

__all__ = ["DEBUGGER_EXCEPTIONS", "command_stop", "continue_status", "exception_stop"]

DEBUGGER_EXCEPTIONS: Final = frozenset({STATUS_BREAKPOINT, STATUS_SINGLE_STEP})
"""The exceptions that exist for debuggers; every other one is the target's to handle."""


def continue_status(code: int) -> int:
    """What becomes of an exception (NTSTATUS ``code``; 0: the stop is none) when the target is let go."""
    return DBG_CONTINUE if code == 0 or code in DEBUGGER_EXCEPTIONS else DBG_EXCEPTION_NOT_HANDLED


def exception_stop(code: int, address: int, *, first_chance: bool, break_in: bool = False) -> Stopped:
    """The target is halted by an exception (NTSTATUS ``code``) at ``address``.

    :param break_in: it is the breakpoint that the debugger asked for.
    """
    chance = "first" if first_chance else "second"
    match code:
        case _ if break_in:
            reason = "break-in"
        case _ if code == STATUS_BREAKPOINT:
            reason = "break instruction"
        case _ if code == STATUS_SINGLE_STEP:
            reason = "single step"
        case _ if code == STATUS_ACCESS_VIOLATION:
            reason = f"access violation, {chance} chance"
        case _:
            reason = f"exception 0x{code:08x}, {chance} chance"
    return Stopped(reason, code, address, first_chance, break_in)


def command_stop(what: str, address: int) -> Stopped:
    """The target is halted because it wants the host to execute a debugger command.

    :param what: the command, or what is known of it.
    """
    return Stopped(f"the target wants the host to execute {what}", 0, address)
