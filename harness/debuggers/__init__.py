"""Who listens: debuggers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.debuggers import ntoseye
from harness.debuggers.base import Debugger
from harness.debuggers.native.debugger import NativeDebugger
from harness.debuggers.pykd import debugger as pykd
from harness.errors import RigError, UsageError

__all__ = ["COMMANDING", "DEBUGGERS", "DebuggerKind", "debugger_factory", "first_here"]


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


COMMANDING = ("pykd", "ntoseye", "native")
"""Debuggers that execute commands, the one with the most first; the last is always there."""


def first_here(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The first of these debuggers that this machine has what it needs for, and why the ones before are not.

    :raises UsageError: an environment variable names what will not do.
    :raises RigError: none is here.
    """
    missing: list[str] = []
    for name in names:
        try:
            DEBUGGERS[name].check()
        except RigError as error:
            missing.append(f"{name}: {error}")
        else:
            return name, tuple(missing)
    raise RigError("; ".join(missing))


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
