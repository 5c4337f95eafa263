"""Lifecycle rules that a recording can neither keep nor break: their fields are not carried, or events that
they count with are not reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from harness.callbacks import CALLBACK_KINDS
from harness.order.observation import Observation
from harness.order.result import Unobserved
from harness.scenario.model import Pattern
from harness.scenario.rules import RULES

__all__ = ["UnobservedRules"]

_COUNTS_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "process_created_once": ("process_exit",),
    "process_created_first": ("process_exit",),
    "nothing_after_process_exit": ("process_create",),
    "thread_created_once": ("thread_exit", "process_exit"),
    "thread_created_before_exit": ("thread_create",),
    "thread_keeps_its_process": ("thread_create", "thread_exit"),
    "threads_exit_before_process": ("thread_exit", "process_exit"),
    "process_exit_context": ("thread_create", "process_create"),
}
"""Rule → the kinds of which no event may go unreported, or it sees a fault where there is none."""
_PLACES_IMAGES: Final = ("nothing_after_process_exit", "process_created_first")
"""Rules that see a fault where an image stands too early or too late."""
_OVER_LOADS: Final = (
    "process_created_once",
    "process_created_first",
    "nothing_after_process_exit",
    "thread_created_once",
    "thread_created_before_exit",
    "thread_keeps_its_process",
    "threads_exit_before_process",
)
"""Rules that see a fault in what happened while the driver was not loaded, unless they know when that was."""
_LOADED_AGAIN: Final = "the steps load the driver again, and nothing in the recording tells when"


class UnobservedRules:
    """Which rules are not judged.

    :param off: rules that the trace is not held to anyway.
    :param loads_again: the driver was loaded more than once.
    :ivar unfounded: rules that must not be held to the trace, for its machine does not report all they need,
        or the driver's lines do not.
    """

    def __init__(self, observation: Observation, off: frozenset[str], *, loads_again: bool = False) -> None:
        self._observation = observation
        self._off = off
        self._loads_again = loads_again and observation.witness != "monitor"
        self._unreported = {
            rule: why
            for rule, kinds in _COUNTS_WITH.items()
            for kind in kinds
            if rule not in off and (why := self._untold(kind))
        }
        self._misplaced = frozenset(_PLACES_IMAGES if "image_load" in observation.unordered else ()) - off
        self.unfounded = frozenset(self._unreported) | self._misplaced
        if self._loads_again and observation.witness != "print":
            self.unfounded |= self.over_loads

    @property
    def over_loads(self) -> frozenset[str]:
        """The rules that nothing tells of another load, which there was. Of lines that is known once all of
        them are: registrations, totals or numbers tell."""
        seen = self._observation
        told = seen.witness == "print" and (
            any(seen.carries("driver", field) for field in ("routine", "totals"))
            or any(seen.carries(kind, "seq") for kind in CALLBACK_KINDS)
        )
        return frozenset() if told or not self._loads_again else frozenset(_OVER_LOADS) - self._off

    def unobserved(self) -> tuple[Unobserved, ...]:
        """The rules that are not judged, once all events are known, and why."""
        seen = self._observation
        lacks: dict[str, Callable[[], str]] = {
            "process_exit_context": lambda: self._lacking("process_exit", "context_pid"),
            "thread_exit_context": lambda: self._lacking("thread_exit", "context_tid"),
            "seq_unique": lambda: _callbacks(seen, "seq"),
            "time_follows_seq": lambda: _callbacks(seen, "seq") or _callbacks(seen, "time"),
            "no_lost_lines": lambda: _callbacks(seen, "seq") and self._lacking("driver", "totals"),
            "totals_count_every_line": lambda: self._lacking("driver", "totals"),
            "callbacks_only_while_registered": self._no_registrations,
            "driver_unregisters": self._no_registrations,
        }
        found = dict.fromkeys(self._misplaced, "the recording does not tell when an image was loaded")
        found |= dict.fromkeys(self.over_loads, _LOADED_AGAIN)
        found |= self._unreported
        for rule, why in lacks.items():
            if rule not in self._off and rule not in found and (said := why()):
                found[rule] = said
        return tuple(Unobserved(rule, found[rule]) for rule in RULES if rule in found)

    def _untold(self, kind: str) -> str:
        """Why events of a kind come of which the recording does not tell, whatever it holds."""
        seen = self._observation
        if seen.reports(Pattern(kind, (), 0)):
            return seen.has_no_form(kind)
        who = "machine does not report" if seen.witness != "monitor" else "tool does not record"
        return f"the {who} every {kind}"

    def _no_registrations(self) -> str:
        if unseen := self._observation.unseen(Pattern("driver", (), 0)):
            return unseen
        told = self._observation.carries("driver", "routine")
        return "" if told else "no line of this driver tells of a registration"

    def _lacking(self, kind: str, field: str) -> str:
        lacking = self._observation.lacks(kind, field)
        lines = "line of this driver about itself" if kind == "driver" else f"{kind} of this driver"
        return f"no {lines} carries {field}" if lacking else ""


def _callbacks(observation: Observation, field: str) -> str:
    return f"no callback of this driver carries {field}" if observation.no_callback_carries(field) else ""
