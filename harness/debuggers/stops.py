"""What a stop is called, so that every debugger says it with the same words."""

from __future__ import annotations

from harness.debuggers.base import Stopped
from harness.kd.status import STATUS_ACCESS_VIOLATION, STATUS_BREAKPOINT, STATUS_SINGLE_STEP

__all__ = ["command_stop", "exception_stop"]


def exception_stop(code: int, address: int, *, first_chance: bool) -> Stopped:
    """The target is halted by an exception (NTSTATUS ``code``) at ``address``."""
    chance = "first" if first_chance else "second"
    match code:
        case _ if code == STATUS_BREAKPOINT:
            reason = "break instruction"
        case _ if code == STATUS_SINGLE_STEP:
            reason = "single step"
        case _ if code == STATUS_ACCESS_VIOLATION:
            reason = f"access violation, {chance} chance"
        case _:
            reason = f"exception 0x{code:08x}, {chance} chance"
    return Stopped(reason, code, address)


def command_stop(what: str, address: int) -> Stopped:
    """The target is halted because it wants the host to execute a debugger command.

    :param what: the command, or what is known of it.
    """
    return Stopped(f"the target wants the host to execute {what}", 0, address)
