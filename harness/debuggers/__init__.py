"""Who listens: debuggers by name."""

from __future__ import annotations

from collections.abc import Callable

from harness.debuggers.base import Debugger
from harness.debuggers.native import NativeDebugger
from harness.debuggers.ntoseye import open_ntoseye
from harness.debuggers.pykd import open_pykd
from harness.errors import UsageError

__all__ = ["DEBUGGERS", "debugger_factory"]

DEBUGGERS: dict[str, Callable[[str], Debugger]] = {
    "native": NativeDebugger,
    "pykd": open_pykd,
    "ntoseye": open_ntoseye,
}
"""Every debugger by the name that ``--debugger`` takes; called with a connection, as for WinDbg's ``-k``."""


def debugger_factory(name: str) -> Callable[[str], Debugger]:
    """What makes the debugger. An unknown name raises UsageError with the known ones."""
    try:
        return DEBUGGERS[name]
    except KeyError:
        known = ", ".join(DEBUGGERS)
        raise UsageError(f"there is no debugger named {name!r}", hint=f"known: {known}") from None
