"""How many runs there were and how they ended: the headline, and a row a scenario with its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from harness.outcome import Outcome, worst
from harness.report.html.article import state_class
from harness.report.html.elements import add
from harness.verdict.judgedrun import JudgedRun

__all__ = ["add_table", "headline"]

_HEADINGS: Final = ("scenario", "result", "runs", "passed", "seconds", "events", "seeds")


def headline(runs: Sequence[JudgedRun]) -> str:
    """``Broken promise: 1 of 11 runs, 10 passed``; what failed stands first."""
    kinds = sorted(Outcome, key=lambda kind: not kind.failed)
    counts = [(kind.words, number) for kind in kinds if (number := sum(run.outcome is kind for run in runs))]
    if not counts:
        return "nothing ran"
    (words, number), *others = counts
    first = f"{words.capitalize()}: {number} of {_count(len(runs), 'run')}"
    return ", ".join([first, *(f"{number} {words}" for words, number in others)])


def add_table(
    parent: Element, runs: Sequence[JudgedRun], listed: frozenset[int], numbers: Mapping[int, int]
) -> None:
    """A row a scenario, with its listed runs, each with a link to its part of the page.

    :param listed: the places of the runs that are listed.
    :param numbers: the place of a run → the number of its part.
    """
    scenarios: dict[tuple[str, str], list[int]] = {}
    for place, run in enumerate(runs):
        scenarios.setdefault((str(run.path), run.scenario), []).append(place)
    section = add(parent, "nav", class_="runs", aria_label="Runs")
    details = add(section, "details", open="open")
    add(details, "summary", f"{_count(len(runs), 'run')} of {_count(len(scenarios), 'scenario')}")
    table = add(add(details, "div", class_="wide"), "table")
    add(table, "caption", "Runs", class_="unseen")
    head = add(add(table, "thead"), "tr")
    for words in _HEADINGS:
        add(head, "th", words, scope="col")
    body = add(table, "tbody")
    for (_, scenario), places in scenarios.items():
        own = [runs[place] for place in places]
        outcome = worst(run.outcome for run in own)
        row = add(body, "tr", class_=f"scenario {state_class(outcome.words)}", data_outcome=outcome.words)
        name = add(row, "th", scope="row")
        if len(own) == 1:
            _add_link(name, scenario, own[0], numbers.get(places[0]))
        else:
            add(name, "span", scenario)
        add(add(row, "td"), "span", outcome.words, class_=f"badge {state_class(outcome.words)}")
        passed = sum(run.outcome is Outcome.PASSED for run in own)
        seconds = sum(run.seconds or 0.0 for run in own)
        for value in (len(own), passed, f"{seconds:.2f}", sum(run.events for run in own)):
            add(row, "td", str(value), class_="number")
        seeds = add(row, "td", class_="seeds")
        for place in places:
            if place in listed:
                seed = runs[place].seed
                _add_link(seeds, "-" if seed is None else str(seed), runs[place], numbers.get(place))


def _add_link(parent: Element, text: str, run: JudgedRun, number: int | None) -> None:
    kind = state_class(run.outcome.words)
    if number is None:
        link = add(parent, "span", text, class_=kind, title=run.outcome.words)
    else:
        link = add(parent, "a", text, href=f"#run-{number}", class_=kind, title=run.outcome.words)
    link.tail = " "


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
