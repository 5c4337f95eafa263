"""A part of a recording, and names for what is in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from harness.debuggers.base import Release
from harness.errors import UsageError
from harness.events import Event, WitnessName
from harness.lines import Grammar
from harness.order import Check, Observation
from harness.outcome import Outcome
from harness.scenario import Scenario
from harness.scenario.expect import patterns_of
from harness.scenario.model import Not, Variable
from harness.verdict.ending import Ending
from harness.verdict.judge import Verdict, judge
from harness.verdict.survey import Survey
from harness.witness import Agreement

__all__ = ["Part", "bound_by_hand", "judge_part", "part_between"]

_BIND = re.compile(r"([A-Za-z_][\w.\[\]-]*)=([0-9]{1,10}|0[xX][0-9A-Fa-f]{1,8})", re.ASCII)

_SHOWN_NAMES = 12


class Part:
    """The events from one to another, to be iterated as often as wanted."""

    def __init__(self, events: Iterable[Event], first: int, end: int | None) -> None:
        self._events = events
        self._first = first
        self._end = end

    def __iter__(self) -> Iterator[Event]:
        return islice(self._events, self._first, self._end)

    def survey(self, grammar: Grammar) -> Survey:
        """What the part holds. Of its lines those are lost that come nowhere in the recording."""
        found = Survey(grammar)
        events = iter(self._events)
        found.begin_part(islice(events, self._first))
        found.feed(events if self._end is None else islice(events, self._end - self._first))
        found.end_part(events)
        return found


def judge_part(
    scenario: Scenario,
    events: Iterable[Event],
    bindings: Mapping[str, int],
    *,
    survey: Survey,
    observation: Observation | None = None,
    checking: Check | None = None,
    first: str | None,
    last: str | None,
    ending: Ending | None,
    release: Release | None = None,
    unfinished: str = "",
    partial: bool = False,
    strict: bool = False,
    witness: WitnessName = "print",
    agreement: Agreement | None = None,
) -> Verdict:
    """Judge the events between two lines; what the driver did to the target elsewhere outweighs them.

    A part that has its end is whole, however the recording ended.

    :param survey: of all events; so are ``observation`` and ``checking``.
    :param first: text of the line with which the part begins; None: the beginning.
    :param last: text of the line with which it ends; None: the end.
    :raises UsageError: no such line, though the recording came to its end.

    The other parameters are those of :func:`harness.verdict.judge.judge`.
    """
    if first is None and last is None:
        return judge(
            scenario,
            events,
            bindings,
            survey=survey,
            observation=observation,
            checking=checking,
            ending=ending,
            release=release,
            unfinished=unfinished,
            partial=partial,
            strict=strict,
            witness=witness,
            agreement=agreement,
        )
    fault = ending if ending is not None and ending.outcome in (Outcome.BROKEN, Outcome.BUGCHECK) else None
    if survey.bugcheck is not None or survey.unhandled is not None or fault is not None:
        return judge(None, (), {}, survey=survey, ending=fault, witness=witness)
    try:
        part = part_between(events, first, last)
    except UsageError:
        if partial or (ending is None and not unfinished):
            raise
        # The line may have been to come.
        return judge(
            None,
            (),
            {},
            survey=survey,
            ending=ending,
            release=release,
            unfinished=unfinished,
            witness=witness,
        )
    if last is not None:
        ending, unfinished = None, ""
    found = part.survey(survey.grammar)
    found.broken_rules = survey.broken_rules  # they stand behind every part
    return judge(
        scenario,
        part,
        bindings,
        survey=found,
        observation=observation
        or Observation.over(scenario, events, witness=witness, printed=survey.grammar.kinds),
        ending=ending,
        release=release,
        unfinished=unfinished,
        partial=partial,
        strict=strict,
        witness=witness,
    )


def part_between(events: Iterable[Event], first: str | None, last: str | None) -> Part:
    """The events from the first line that holds ``first`` to the first line after it that holds ``last``.

    Both lines belong to the part. None: from the beginning, to the end.

    :raises UsageError: no such line.
    """
    start = 0 if first is None else None
    for place, event in enumerate(events):
        if start is None:
            if first is not None and first in event.line:
                start = place
                if last is None:
                    break
        elif last is not None and last in event.line:
            return Part(events, start, place + 1)
        elif last is None:
            break
    if start is None:
        raise UsageError(f"no line of the recording holds {first!r}", hint="--from takes text of a line")
    if last is not None:
        after = "" if first is None else f" after the one with {first!r}"
        raise UsageError(f"no line of the recording{after} holds {last!r}", hint="--to takes text of a line")
    return Part(events, start, None)


def bound_by_hand(scenario: Scenario, texts: Iterable[str]) -> Mapping[str, int]:
    """The names of ``name=PID`` texts; the number is decimal, or hexadecimal with 0x.

    :raises UsageError: a text of another form, or a name that the scenario does not use.
    """
    found: dict[str, int] = {}
    known = sorted(_names(scenario))
    for text in texts:
        match = _BIND.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no binding", hint="write name=PID, notepad=1560 or notepad=0x618")
        name = match[1]
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            some = ", ".join(known[:_SHOWN_NAMES]) or "no name at all"
            hint = f"did you mean {close[0]!r}?" if close else f"it uses {some}"
            raise UsageError(f"{scenario.path} uses no name {name!r}", hint=hint)
        if name in found:
            raise UsageError(f"{name!r} is bound twice", hint="a name stands for one process or thread")
        found[name] = int(match[2], 0) if match[2][:2] in ("0x", "0X") else int(match[2])
    return found


def _names(scenario: Scenario) -> set[str]:
    names = set()
    for name, rounds in scenario.names().items():
        names |= {f"{name}[{number}]" for number in range(1, rounds + 1)} if rounds else {name}
    for expectation in scenario.expect:
        for pattern in (*expectation.scope, *patterns_of(expectation)):
            for _, value in pattern.fields:
                inner = value.of if isinstance(value, Not) else value
                if isinstance(inner, Variable):
                    names.add(inner.name)
    return names
