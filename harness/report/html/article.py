"""The part of the page that is about one run: what broke, the order beside what happened, the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from harness.order.result import Failure, Row, Status
from harness.report.explanation import broken_rules_text, rule_lines
from harness.report.html.drawing import Drawing
from harness.report.html.elements import add
from harness.report.html.eventline import line_of
from harness.report.html.expected import BROKEN, ExpectedLine
from harness.report.html.proofs import DrawnProof, mark_of
from harness.report.marks import MARKS, STATUS_SIGNS
from harness.verdict.judgedrun import JudgedRun

__all__ = ["MAX_BROKEN", "add_recording", "add_run", "state_class"]

MAX_BROKEN: Final = 20
"""Broken promises of a run that are told at length; so, too, of those that are not judged."""


def state_class(words: str) -> str:
    """The class of an outcome or a state: ``broken-promise``."""
    return words.replace(" ", "-")


def add_run(
    parent: Element,
    number: int,
    run: JudgedRun,
    drawing: Drawing,
    expected: Sequence[ExpectedLine],
    often: str,
    *,
    opened: bool,
) -> None:
    """The article of a run.

    :param often: how often its cause came, in a line; may be empty.
    """
    outcome = run.outcome.words
    article = add(
        parent,
        "article",
        id=f"run-{number}",
        class_=f"run {state_class(outcome)}",
        aria_labelledby=f"run-{number}-title",
        data_outcome=outcome,
    )
    details = add(article, "details", **({"open": "open"} if opened else {}))
    summary = add(details, "summary")
    heading = add(summary, "h2", id=f"run-{number}-title")
    add(heading, "span", outcome, class_=f"badge {state_class(outcome)}").tail = " "
    add(heading, "span", run.title)
    facts = [f"{run.events} events", *([] if run.seconds is None else [f"{run.seconds:.2f} s"])]
    facts.append(f"{run.held} promises held" + (f", {run.not_judged} not judged" if run.not_judged else ""))
    add(summary, "p", " · ".join(facts), class_="facts")
    broken = [proof for proof in drawing.proofs if proof.broken]
    unjudged = [proof for proof in drawing.proofs if proof.unjudged]
    _add_reason(details, run, [*broken, *unjudged])
    if drawing.left_out:
        add(details, "p", drawing.left_out, class_="left-out")
    if drawing.payload:
        _add_timeline(details, number, drawing.payload)
    columns = add(details, "div", class_="columns")
    _add_expected(columns, run, expected)
    _add_happened(columns, number, broken, unjudged)
    _add_besides(details, run, often)


def _add_reason(parent: Element, run: JudgedRun, told: Sequence[DrawnProof]) -> None:
    # It is that of the first promise that is not kept, told below, unless something else outweighs it.
    if run.reason and all(run.reason not in (proof.words, proof.reason) for proof in told):
        add(parent, "p", run.reason, class_="reason")
    text = broken_rules_text(run.broken_rules, run.reason)
    for line in text.splitlines():
        add(parent, "p", line.strip(), class_="aside")


def add_recording(parent: Element, payload: str) -> None:
    """The article of a recording that was not judged."""
    article = add(
        parent, "article", id="run-1", class_="run", aria_label="The recording", data_outcome="recording"
    )
    details = add(article, "details", open="open")
    add(details, "summary", "Events")
    _add_timeline(details, 1, payload)


def _add_timeline(parent: Element, number: int, payload: str) -> None:
    figure = add(parent, "figure", class_="timeline", data_run=str(number))
    caption = add(figure, "figcaption")
    add(caption, "strong", "Timeline").tail = " a lane a process, in the order of capture"
    script = add(figure, "script", type="application/octet-stream")
    script.text = payload
    add(parent, "noscript").text = "The timeline needs JavaScript; everything else on this page does not."


def _add_expected(parent: Element, run: JudgedRun, expected: Sequence[ExpectedLine]) -> None:
    if not expected:
        return
    section = add(parent, "section", class_="expected")
    add(section, "h3", "The expected order")
    add(section, "p", str(run.path), class_="facts")
    table = add(section, "table")
    add(table, "caption", "Lines of the scenario, and what became of each", class_="unseen")
    head = add(add(table, "thead"), "tr")
    for words in ("line", "", "the scenario says", "event"):
        add(head, "th", words, scope="col")
    body = add(table, "tbody")
    for line in expected:
        row = add(body, "tr", class_=_status_class(line.status))
        add(row, "th", str(line.number), scope="row")
        sign = add(row, "td", class_="sign")
        if line.status is not None:
            add(sign, "span", STATUS_SIGNS[line.status], aria_hidden="true")
            add(sign, "span", line.status.value, class_="unseen")
        said = add(row, "td")
        code = add(said, "code")
        indent = len(line.text) - len(line.text.lstrip(" "))
        code.text = "\u00a0" * min(indent, 40)
        add(code, "span", line.text.strip())
        if line.status in BROKEN:
            add(said, "div", f"{line.status.value}{line.why and f': {line.why}'}", class_="why")
        elif line.why:
            add(said, "div", line.why, class_="why")
        _add_events(add(row, "td", class_="events"), line.events)


def _add_events(parent: Element, events: Sequence[int]) -> None:
    for index in events[:3]:
        _add_event_button(parent, index)
    if len(events) > 3:
        add(parent, "span", f"and {len(events) - 3} more")


def _add_event_button(parent: Element, index: int) -> None:
    button = add(parent, "button", str(index), type="button", class_="event", data_event=str(index))
    button.set("aria-label", f"event {index}, show it in the timeline")
    button.tail = " "


def _add_happened(
    parent: Element, number: int, broken: Sequence[DrawnProof], unjudged: Sequence[DrawnProof]
) -> None:
    if not broken and not unjudged:
        return
    section = add(parent, "section", class_="happened")
    add(section, "h3", "What happened")
    for place, proof in enumerate(broken[:MAX_BROKEN]):
        part = add(
            section, "section", id=f"run-{number}-broken-{place + 1}", class_="broken-part", tabindex="-1"
        )
        add(part, "h4", proof.words)
        if proof.failure is not None:
            _add_account(part, proof.failure)
            _add_rows(part, proof.failure.explanation.around, judged=True)
        elif proof.place is not None:
            _add_event_button(add(part, "p", "event "), proof.place)
    if len(broken) > MAX_BROKEN:
        add(section, "p", f"{len(broken) - MAX_BROKEN} more promises were broken.", class_="left-out")
    for proof in unjudged[:MAX_BROKEN]:
        part = add(section, "section", class_="not-judged-part")
        add(part, "h4", proof.words)
        if proof.failure is not None:
            _add_rows(part, proof.failure.explanation.around, judged=False)
        elif proof.place is not None:
            _add_event_button(add(part, "p", "event "), proof.place)
    if len(unjudged) > MAX_BROKEN:
        add(section, "p", f"{len(unjudged) - MAX_BROKEN} more are not judged.", class_="left-out")


def _add_account(parent: Element, failure: Failure) -> None:
    """What is to be known of a broken promise besides the contradiction."""
    explanation = failure.explanation
    if explanation.callback:
        add(add(parent, "p", "At fault: ", class_="callback"), "code", explanation.callback)
    lines = [failure.reason]
    if failure.violation is not None:
        lines += rule_lines(failure.violation.rule)
    if explanation.irrelevant:
        lines.append(f"What does not matter: {'; '.join(explanation.irrelevant)}.")
    for line in lines:
        add(parent, "p", line, class_="aside")


def _status_class(status: Status | None) -> str:
    if status is None:
        return "plain"
    return "broken" if status in BROKEN else state_class(status.value)


def _add_rows(parent: Element, rows: Sequence[Row], *, judged: bool) -> None:
    """The trace around the places that matter."""
    table = add(add(parent, "div", class_="wide"), "table", class_="trace")
    add(table, "caption", "The trace there", class_="unseen")
    body = add(table, "tbody")
    previous: int | None = None
    for row in rows:
        event = row.event
        if previous is not None and event.index != previous + 1:
            skipped = add(body, "tr", class_="skipped")
            add(skipped, "td", "...", colspan="3")
        previous = event.index
        mark = None if row.mark is None else mark_of(row.mark, judged)
        line = add(body, "tr", class_="unmarked" if mark is None else mark.value)
        _add_event_button(add(line, "th", scope="row"), event.index)
        add(line, "td", "" if mark is None else MARKS[mark].words, class_="mark")
        add(add(line, "td"), "code", line_of(event))


def _add_besides(parent: Element, run: JudgedRun, often: str) -> None:
    if run.not_judged_lines:
        section = add(parent, "section", class_="not-judged")
        add(section, "h3", "Not judged")
        listed = add(section, "ul")
        for line in run.not_judged_lines:
            add(listed, "li", line.removeprefix("not judged: "))
    besides = [line for line in (often, *run.notes, run.left) if line]
    if run.trace is not None:
        besides.append(f"trace: {run.trace}")
    if besides:
        aside = add(parent, "div", class_="besides")
        for line in besides:
            add(aside, "p", line)
