"""Who listens: debuggers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.debuggers import ntoseye
from harness.debuggers.base import Debugger
from harness.debuggers.native.debugger import NativeDebugger
from harness.debuggers.pykd import debugger as pykd
from harness.errors import UsageError

__all__ = ["DEBUGGERS", "DebuggerKind", "debugger_factory"]


class DebuggerKind(NamedTuple):
    """One row of :data:`DEBUGGERS`."""

    open: Callable[[str], Debugger]
    """Takes a connection, as for WinDbg's ``-k``."""
    check: Callable[[], object] = lambda: None
    """Raises what this machine lacks for it, and changes nothing."""


DEBUGGERS: dict[str, DebuggerKind] = {
    "native": DebuggerKind(NativeDebugger),
    "pykd": DebuggerKind(pykd.open_pykd, pykd.require),
    "ntoseye": DebuggerKind(ntoseye.open_ntoseye, ntoseye.worker_program),
}
"""Every debugger by the name that ``--debugger`` takes."""


def debugger_factory(name: str) -> Callable[[str], Debugger]:
    """What makes the debugger.

    :raises UsageError: an unknown name; the known ones are in it.
    :raises RigError: this machine lacks what the debugger needs.
    """
    try:
        kind = DEBUGGERS[name]
    except KeyError:
        known = ", ".join(DEBUGGERS)
        raise UsageError(f"there is no debugger named {name!r}", hint=f"known: {known}") from None
    kind.check()
    return kind.open
