"""The whole page, in one text: what it says stands in it as HTML, and its script adds the timelines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias
from xml.etree.ElementTree import Element

from harness.events import Event
from harness.outcome import Outcome
from harness.report.html.article import add_recording, add_run, state_class
from harness.report.html.columns import packed
from harness.report.html.drawing import Drawing, draw
from harness.report.html.elements import add, html_of
from harness.report.html.eventline import line_of
from harness.report.html.expected import expected_lines
from harness.report.html.frame import DOCTYPE, add_bar, add_end, add_head
from harness.report.html.selection import MAX_EVENTS, choose
from harness.report.html.textroom import TextRoom
from harness.report.html.timeline import Timeline
from harness.report.html.totals import add_table, headline
from harness.verdict.judgedrun import JudgedRun

__all__ = ["Recorded", "html_page", "recording_page"]

Recorded: TypeAlias = Callable[[JudgedRun], Iterable[Event] | str]
"""The events of a run, to be iterated twice; or, in a sentence, why there are none."""


def html_page(
    runs: Sequence[JudgedRun],
    *,
    recorded: Recorded,
    text_of: Callable[[Path], str],
    often: Sequence[str] | None = None,
    drawn: Callable[[int], object] = lambda done: None,
) -> str:
    """The page about ``runs``. The same runs give the same text.

    :param recorded: what the trace of a run holds.
    :param text_of: the text of a scenario file; empty where it cannot be read.
    :param often: of each run, how often its cause came, in a line; None: nothing is to be told of it.
    :param drawn: told after each timeline how many are done.
    """
    chosen = choose(runs)
    drawings = []
    room, text = MAX_EVENTS, TextRoom()
    shown = [runs[place] for place in chosen.timelines]
    frequencies = ["" if often is None else often[place] for place in chosen.timelines]
    for run in shown:
        drawings.append(draw(run, recorded(run), room, text))
        room -= drawings[-1].events
        drawn(len(drawings))
    html = Element("html", {"lang": "en"})
    add_head(html, title=headline(runs))
    body = add(html, "body")
    add_bar(body)
    main = add(body, "main", id="main", tabindex="-1")
    numbers = {place: number for number, place in enumerate(chosen.timelines, 1)}
    add(main, "h1", headline(runs))
    if shown and shown[0].outcome.failed:
        _add_first(main, shown[0], drawings[0], frequencies[0])
    add_table(main, runs, chosen.rows, numbers)
    for sentence in chosen.left_out:
        add(main, "p", sentence, class_="left-out")
    parts = zip(shown, drawings, frequencies, strict=True)
    for number, (run, drawing, frequency) in enumerate(parts, 1):
        expected = expected_lines(run, "" if run.check is None else text_of(run.path))
        add_run(main, number, run, drawing, expected, frequency, opened=number == 1)
    add_end(body)
    return DOCTYPE + html_of(html) + "\n"


def recording_page(name: str, about: Iterable[str], timeline: Timeline) -> str:
    """The page about a recording that nobody judged.

    :param about: what is to be known of it besides, a line each.
    """
    html = Element("html", {"lang": "en"})
    add_head(html, title=name)
    body = add(html, "body")
    add_bar(body)
    main = add(body, "main", id="main", tabindex="-1")
    add(main, "h1", name)
    for line in about:
        add(main, "p", line, class_="facts")
    if timeline.shortened:
        add(main, "p", timeline.shortened, class_="left-out")
    add_recording(main, packed(timeline.document() | {"proofs": []}))
    add_end(body)
    return DOCTYPE + html_of(html) + "\n"


def _add_first(main: Element, run: JudgedRun, drawing: Drawing, often: str) -> None:
    """What went wrong first, and the line that shows it."""
    section = add(main, "section", class_="first", aria_label="What went wrong first")
    sentences = [next((proof.words for proof in drawing.proofs if proof.broken), run.reason)]
    # What the driver did says more than the bugcheck that came of it: it names the function.
    rules = [rule.message for rule in run.broken_rules[:1]]
    sentences = [*rules, *sentences] if run.outcome is Outcome.BUGCHECK else [*sentences, *rules]
    said = add(section, "p", class_="reason")
    if drawing.callback:
        add(said, "code", drawing.callback).tail = ": "
    add(said, "span", sentences[0])
    for sentence in sentences[1:]:
        add(section, "p", sentence)
    if drawing.faulty is not None:
        line = add(section, "p", class_="faulty")
        last = any(proof.is_end for proof in drawing.proofs)
        words = f"{'last event' if last else 'event'} {drawing.faulty.index}"
        add(line, "span", words, class_=f"badge {state_class(run.outcome.words)}").tail = " "
        add(line, "code", line_of(drawing.faulty))
    add(section, "p", f"in {run.title}{often and f'; {often}'}", class_="facts")
