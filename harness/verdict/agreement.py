"""The lines of one recording held against what another witness saw of the same callbacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.events import Event
from harness.lines import Grammar
from harness.verdict.survey import Survey
from harness.witness import Agreement, compare_witnesses

__all__ = ["agreement_notes", "hold_witnesses"]


def hold_witnesses(
    printed: Iterable[Event],
    called: Iterable[Event],
    *,
    survey: Survey,
    hidden: int,
    alone: bool,
    first_call: int = 0,
) -> Agreement | None:
    """How far they agree; None where no line reports a callback, or several boots or connections are mixed.

    :param printed: the events of the driver's lines.
    :param called: those of the other witness, of the driver under test.
    :param survey: of ``printed``.
    :param hidden: prints that the target's print filter kept back.
    :param alone: no other driver was loaded by the run.
    :param first_call: added to the indices of ``called``.
    """
    if not survey.callbacks or not survey.counts.keys().isdisjoint(("reboot", "disconnect")):
        return None
    grammar = survey.grammar
    found = compare_witnesses(
        printed,
        called,
        # Lines that nothing marks as this driver's may be another's.
        complete=grammar.complete and (alone or bool(grammar.driver_tags)),
        doubt=_doubt(survey, grammar, hidden),
    )
    if not first_call:
        return found
    moved = tuple(
        finding if finding.called is None else replace(finding, called=finding.called + first_call)
        for finding in found.findings
    )
    return replace(found, findings=moved)


def _doubt(survey: Survey, grammar: Grammar, hidden: int) -> str:
    """Why a line that was printed may not be among the events."""
    if hidden:
        return f"the print filter kept {_count(hidden, 'print')} back"
    if not survey.loss.complete or survey.loss.unproved:
        return "lines are missing"
    unread = survey.unfit if grammar.driver_tags else survey.counts.get("print", 0)
    return f"{_count(unread, 'line')} that may be the driver's fit no form" if unread else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def agreement_notes(agreement: Agreement | None) -> Iterator[str]:
    """What is to be told of all findings but the first, a line each."""
    if agreement is None:
        return
    for finding in agreement.findings[1:]:
        yield f"also {finding}"
    if agreement.more:
        yield f"and {agreement.more} more in which lines and calls do not agree"
