"""On whose events a run is judged: the driver's lines, or what the target saw of the callbacks it called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from harness.callbacks import CALLBACK_KINDS
from harness.errors import ProcnotifyError
from harness.events import Event, WitnessName
from harness.machines.base import Machine, SeenCalls, WitnessingMachine
from harness.printmasks import OPEN_HINT

__all__ = ["Sight", "seen_calls", "sight_of"]

_CALLBACKS: Final = frozenset(kind.event for kind in CALLBACK_KINDS.values())


class Sight(NamedTuple):
    """Whose events are judged."""

    witness: WitnessName
    calls: SeenCalls | None = None
    """What the target saw, where the trace is to hold it."""
    note: str = ""
    """Why it is, where nobody asked for it."""


def seen_calls(machine: Machine, driver: str) -> SeenCalls | None:
    """What the machine saw of the boot that was started last: the callback calls of one driver as events.

    :param driver: its file name in the guest.
    :returns: None where the machine cannot tell, or cannot any more.
    """
    if not isinstance(machine, WitnessingMachine):
        return None
    try:
        return machine.calls(driver)
    except ProcnotifyError:
        return None  # what ended it is told


def sight_of(wanted: WitnessName | None, events: Sequence[Event], calls: SeenCalls | None) -> Sight:
    """Choose the witness of a run.

    :param wanted: what was asked for; None: the lines where any of them reports a callback, else the target
        where that saw one.
    :param events: what was captured.
    """
    if wanted == "breakpoint":
        return Sight("breakpoint")
    if wanted == "print" or (wanted is None and _has_callbacks(events)):
        return Sight("print")
    if wanted is None and (calls is None or not _has_callbacks(calls.events)):
        return Sight("print")
    if wanted is not None:
        return Sight("target", calls or SeenCalls(()))
    note = "no line of the driver reports a callback: judged is what the target saw of its calls"
    if calls is not None and calls.hidden:
        note += f"; {OPEN_HINT}"
    return Sight("target", calls, note)


def _has_callbacks(events: Iterable[Event]) -> bool:
    return any(type(event) in _CALLBACKS for event in events)
