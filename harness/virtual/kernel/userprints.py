"""The debug prints of user mode, whose DbgPrintEx is in ntdll: the guest helper's lines."""

from __future__ import annotations

from typing import Final

from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.dbgprint import BUFFER_SIZE
from harness.virtual.kernel.printfilter import ERROR_LEVEL, IHVDRIVER_COMPONENT
from harness.virtual.kernel.system import System

__all__ = ["print_from_user_mode"]

_CHUNK: Final = BUFFER_SIZE - 1


def print_from_user_mode(system: System, text: str, context: ThreadContext) -> None:
    """Pass ``text`` on in prints of at most 511 characters each, where the print filter lets it pass."""
    system.calls.helper_prints(text, context)
    if not system.print_filter.passes(IHVDRIVER_COMPONENT, ERROR_LEVEL):
        return
    ansi = text.encode("cp1252", "replace")
    for start in range(0, len(ansi), _CHUNK):
        system.port.print_string(ansi[start : start + _CHUNK], context.cpu)
