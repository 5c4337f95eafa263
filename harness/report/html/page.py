"""The whole page, in one text: what it says stands in it as HTML, and its script adds the timelines."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from harness.events import Event
from harness.report.html.article import add_run
from harness.report.html.drawing import Drawing, draw
from harness.report.html.elements import add, html_of
from harness.report.html.eventline import line_of
from harness.report.html.expected import expected_lines
from harness.report.html.reportedrun import ReportedRun
from harness.report.html.selection import MAX_EVENTS, choose
from harness.report.html.totals import add_table, headline

__all__ = ["Recorded", "html_page"]

Recorded: TypeAlias = Callable[[ReportedRun], Iterable[Event] | str]
"""The events of a run, to be iterated twice; or, in a sentence, why there are none."""
SCRIPTS: Final = (
    "dom.js",
    "events.js",
    "lanes.js",
    "paint.js",
    "timeline.js",
    "table.js",
    "figure.js",
    "report.js",
)
STYLE: Final = "report.css"


def html_page(runs: Sequence[ReportedRun], *, recorded: Recorded, text_of: Callable[[Path], str]) -> str:
    """The page about ``runs``. The same runs give the same text.

    :param recorded: what the trace of a run holds.
    :param text_of: the text of a scenario file; empty where it cannot be read.
    """
    chosen = choose(runs)
    drawings = []
    room = MAX_EVENTS
    shown = [runs[place] for place in chosen.timelines]
    for run in shown:
        drawings.append(draw(run, recorded(run), room))
        room -= drawings[-1].events
    html = Element("html", {"lang": "en"})
    _add_head(html, title=headline(runs))
    body = add(html, "body")
    _add_bar(body)
    main = add(body, "main", id="main", tabindex="-1")
    numbers = {place: number for number, place in enumerate(chosen.timelines, 1)}
    add(main, "h1", headline(runs))
    if shown and shown[0].outcome.failed:
        _add_first(main, shown[0], drawings[0])
    add_table(main, runs, chosen.rows, numbers)
    for sentence in chosen.left_out:
        add(main, "p", sentence, class_="left-out")
    for number, (run, drawing) in enumerate(zip(shown, drawings, strict=True), 1):
        expected = [] if run.check is None else expected_lines(run.check, text_of(run.path))
        add_run(main, number, run, drawing, expected, opened=number == 1)
    footer = add(body, "footer")
    add(footer, "p", "Written by procnotify. This file loads nothing and sends nothing.")
    script = _asset(*SCRIPTS)
    add(body, "script").text = script
    return "<!DOCTYPE html>\n" + html_of(html) + "\n"


def _add_head(html: Element, *, title: str) -> None:
    head = add(html, "head")
    head.append(Element("meta", {"charset": "utf-8"}))
    policy = (
        f"default-src 'none'; script-src {_hash(*SCRIPTS)}; style-src {_hash(STYLE)};"
        " base-uri 'none'; form-action 'none'"
    )
    head.append(Element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}))
    head.append(Element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}))
    head.append(Element("meta", {"name": "color-scheme", "content": "light dark"}))
    add(head, "title", f"procnotify: {title}")
    add(head, "style").text = _asset(STYLE)


def _add_bar(body: Element) -> None:
    add(body, "a", "to the report", href="#main", class_="skip")
    bar = add(body, "header", class_="bar")
    add(bar, "strong", "procnotify")
    # What needs the script is made by it.
    add(bar, "div", id="tools", class_="tools")


def _add_first(main: Element, run: ReportedRun, drawing: Drawing) -> None:
    """What went wrong first, and the line that shows it."""
    section = add(main, "section", class_="first", aria_label="What went wrong first")
    first = next((proof.words for proof in drawing.proofs if proof.broken), run.reason)
    said = add(section, "p", class_="reason")
    if drawing.callback:
        add(said, "code", drawing.callback).tail = ": "
    add(said, "span", first)
    for rule in run.broken_rules[:1]:
        add(section, "p", rule.message, class_="rule")
    if drawing.faulty is not None:
        line = add(section, "p", class_="faulty")
        add(line, "span", f"event {drawing.faulty.index}", class_="badge broken-promise").tail = " "
        add(line, "code", line_of(drawing.faulty))
    add(section, "p", f"in {run.title}", class_="facts")


def _asset(*names: str) -> str:
    folder = resources.files("harness.report.html") / "assets"
    # Bytes: a checkout may have other line ends, and the browser's hash is of what it parses.
    texts = [(folder / name).read_bytes().decode("utf-8").replace("\r\n", "\n") for name in names]
    return "\n" + "\n".join(texts)


def _hash(*names: str) -> str:
    digest = hashlib.sha256(_asset(*names).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
