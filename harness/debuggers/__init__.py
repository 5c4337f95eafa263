"""Who listens: debuggers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.debuggers.base import Debugger
from harness.errors import RigError, UsageError
from harness.events import WitnessName

__all__ = [
    "CALLBACK_SEEING",
    "COMMANDING",
    "DEBUGGERS",
    "FILE_SERVING",
    "DebuggerKind",
    "check_recorded_witness",
    "check_seeing",
    "debugger_factory",
    "first_here",
]


class DebuggerKind(NamedTuple):
    """One row of :data:`DEBUGGERS`."""

    open: Callable[[str], Debugger]
    """Takes a connection, as for WinDbg's ``-k``."""
    check: Callable[[], object] = lambda: None
    """Raises what this machine lacks for it, and changes nothing."""


# Each is imported when it is asked for: a command that has no link, as check, pays for none of them.


def _open_native(connection: str) -> Debugger:
    from harness.debuggers.native.debugger import NativeDebugger

    return NativeDebugger(connection)


def _open_pykd(connection: str) -> Debugger:
    from harness.debuggers.pykd.debugger import open_pykd

    return open_pykd(connection)


def _require_pykd() -> None:
    from harness.debuggers.pykd.debugger import require

    require()


def _open_ntoseye(connection: str) -> Debugger:
    from harness.debuggers.ntoseye import open_ntoseye

    return open_ntoseye(connection)


def _require_ntoseye() -> None:
    from harness.debuggers.ntoseye import worker_program

    worker_program()


DEBUGGERS: dict[str, DebuggerKind] = {
    "native": DebuggerKind(_open_native),
    "pykd": DebuggerKind(_open_pykd, _require_pykd),
    "ntoseye": DebuggerKind(_open_ntoseye, _require_ntoseye),
}
"""Every debugger by the name that ``--debugger`` takes."""


COMMANDING = ("pykd", "ntoseye", "native")
"""Debuggers that execute commands, the one with the most first; the last is always there."""


FILE_SERVING = ("native", "pykd")
"""Debuggers that hand the target files of the host (:class:`~harness.debuggers.base.FileServingDebugger`)."""


CALLBACK_SEEING = ("native",)
"""Debuggers that see callbacks by themselves (:class:`~harness.debuggers.base.CallbackDebugger`)."""


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


def check_seeing(debugger: str) -> None:
    """With ``--witness breakpoint`` the debugger sees callbacks by itself.

    :raises UsageError: this one cannot.
    """
    if debugger not in CALLBACK_SEEING:
        raise UsageError(
            f"--witness breakpoint has the debugger stop at callbacks, and --debugger {debugger} cannot",
            hint=f"choose --debugger {' or '.join(CALLBACK_SEEING)}, or another --witness",
        )


def check_recorded_witness(witness: WitnessName, debugger: str) -> None:
    """Who can see the callbacks of a target that is only listened to.

    :raises UsageError: not this one, or not with this debugger.
    """
    if witness not in ("print", "breakpoint"):
        raise UsageError(
            f"--witness {witness}: a target that is only listened to cannot be asked what it called",
            hint="choose --witness breakpoint, which has the debugger stop at callbacks",
        )
    if witness == "breakpoint":
        check_seeing(debugger)
