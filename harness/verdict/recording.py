"""A recording held to a scenario: a file's own word on itself is not taken, its events are counted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from harness.errors import TraceError
from harness.events import WitnessName, kind_of
from harness.grammars import recorded_grammar
from harness.lines import Grammar
from harness.order import Check
from harness.scenario import Scenario
from harness.trace.format import Footer
from harness.trace.sources import TraceSource
from harness.trace.witness import SeenBy, is_seen_by, witness_of
from harness.verdict.agreement import hold_witnesses
from harness.verdict.ending import Ending
from harness.verdict.judge import Verdict
from harness.verdict.observing import observation_of
from harness.verdict.part import bound_by_hand, judge_part
from harness.verdict.survey import Survey
from harness.witness import Agreement

__all__ = ["NO_END", "judge_recording"]

_CHUNK = 4096
NO_END = "the recording has no footer, so it may have been cut off"


def judge_recording(
    source: TraceSource,
    scenario: Scenario,
    *,
    grammar: Grammar | None = None,
    bind: Iterable[str] = (),
    first: str | None = None,
    last: str | None = None,
    partial: bool = False,
    strict: bool = False,
    witness: WitnessName | None = None,
) -> Verdict:
    """Hold a recording, or a part of it, to ``scenario``; memory does not grow with its length.

    :param grammar: by which its lines were read; None: the one that its header names.
    :param bind: ``name=PID`` texts; they outweigh what the footer says of the same names.
    :param first: text of the line with which the part begins; None: the beginning of the recording.
    :param last: text of the line with which the part ends; it is whole then, however the recording ended.
    :param partial: judge what there is of a recording that ended early or has no footer.
    :param strict: a promise that could not be judged is an error, as in
        :func:`harness.verdict.judge.judge`.
    :param witness: on whose events the order is checked; None: those that the footer names, or the lines.
    :raises TraceError: the file is damaged, or its footer counts something else than it holds.
    :raises UsageError: no such line, or a name that the scenario does not use.
    """
    by_hand = bound_by_hand(scenario, bind)
    survey = Survey(grammar or recorded_grammar(source.header.lines, source.path))
    foretold = _bindings(source.footer, by_hand)
    # The one pass that most recordings need: counted and checked together.
    chosen = witness or witness_of(source.header, source.footer)
    seen = SeenBy(source, chosen)
    observation = observation_of(source, scenario, chosen, foretold, survey.grammar)
    checking = Check(scenario, foretold, observation) if first is None and last is None else None
    beside: Counter[str] = Counter()
    has_targets = chosen == "target"
    iterator = iter(source)
    while whole := list(islice(iterator, _CHUNK)):
        chunk = seen.of(whole)
        if chunk is not whole:
            others = [event for event in whole if not is_seen_by(event, chosen)]
            beside.update(map(kind_of, others))
            has_targets = has_targets or any(event.witness == "target" for event in others)
        survey.feed(chunk)
        observation.feed(chunk)
        if checking is not None:
            checking.feed(chunk)
    footer = source.footer
    ending = None
    bindings = _bindings(footer, by_hand)
    if bindings != foretold:
        checking = None
    if footer is not None:
        _hold_to(source, footer, beside + Counter(survey.counts))
        ending = Ending.of_footer(footer)
    unfinished = NO_END if footer is None else ""
    return judge_part(
        scenario,
        seen,
        bindings,
        survey=survey,
        observation=observation,
        checking=checking,
        first=first,
        last=last,
        ending=ending,
        unfinished=unfinished,
        partial=partial,
        strict=strict,
        witness=chosen,
        agreement=_agreement(source, survey, chosen)
        if has_targets and first is None and last is None
        else None,
    )


def _agreement(source: TraceSource, survey: Survey, chosen: WitnessName) -> Agreement | None:
    """Of the lines with what the target saw, in a recording that came to its end and holds both."""
    footer = source.footer
    if footer is None or not footer.complete:
        return None
    printed = SeenBy(source, "print")
    if chosen != "print":
        survey = Survey(survey.grammar)
        survey.feed(printed)
    return hold_witnesses(
        printed,
        SeenBy(source, "target"),
        survey=survey,
        hidden=footer.hidden_prints,
        alone=not source.header.other_drivers,
    )


def _bindings(footer: Footer | None, by_hand: Mapping[str, int]) -> dict[str, int]:
    return {**(footer.bindings if footer is not None else {}), **by_hand}


def _hold_to(source: TraceSource, footer: Footer, counts: Mapping[str, int]) -> None:
    for kind in sorted({*footer.counts, *counts}):
        said, held = footer.counts.get(kind, 0), counts.get(kind, 0)
        if said != held:
            raise TraceError(
                f"{source.path}: the footer counts {said} {kind}, the trace holds {held}",
                hint="the file was changed after it was recorded",
            )
