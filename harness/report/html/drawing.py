"""What the page has of a run to draw: its timeline and its proofs, as far as there is room for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.events import Bugcheck, Event, Stop
from harness.order.callbackname import callback_of
from harness.order.result import Mark
from harness.outcome import Outcome
from harness.report.html.columns import packed
from harness.report.html.proofs import DrawnProof, ProofEvent, proofs_of
from harness.report.html.selection import MAX_EVENTS
from harness.report.html.textroom import TextRoom
from harness.report.html.timeline import Timeline
from harness.report.marks import LAST
from harness.trace.lives import Lives
from harness.verdict.judgedrun import JudgedRun

__all__ = ["Drawing", "draw"]


@dataclass(frozen=True)
class Drawing:
    """The drawn part of a run."""

    proofs: tuple[DrawnProof, ...]
    """Those that are broken first, then those that are not judged."""
    payload: str = ""
    """For the page's script, see :func:`harness.report.html.columns.packed`; empty: there is no timeline."""
    left_out: str = ""
    """What is missing, in a sentence; may be empty."""
    events: int = 0
    """Of the timeline."""
    faulty: Event | None = field(default=None, compare=False)
    """The event that breaks the first broken promise; else the bugcheck, or the last event."""

    @property
    def callback(self) -> str:
        """The driver's function that is at fault; empty where nothing tells."""
        first = next((proof for proof in self.proofs if proof.broken), None)
        if first is None or first.is_end:
            return ""
        if first.failure is not None:
            return first.failure.explanation.callback
        return "" if self.faulty is None else callback_of(self.faulty)


def draw(run: JudgedRun, events: Iterable[Event] | str, room: int, text: TextRoom) -> Drawing:
    """Draw a run.

    :param events: of its trace, to be iterated twice; or why there are none.
    :param room: events that its timeline may have; where it has more, those around what broke are drawn.
    :param text: the room for its lines and names.
    """
    proofs = proofs_of(run)
    if isinstance(events, str):
        return Drawing(tuple(proofs), left_out=events)
    if room <= 0:
        return Drawing(
            tuple(proofs), left_out=f"No timeline: those of a page have {MAX_EVENTS} events at most."
        )
    # A rig that failed before anything was judged shows where; what is not judged broke nowhere.
    judged = run.outcome is Outcome.RIG and run.check is not None
    first = next((proof for proof in proofs if proof.broken or (judged and proof.unjudged)), None)
    wanted = None if first is None else first.place
    lives, total = Lives(), 0
    faulty: Event | None = None
    fatal: Event | None = None
    last: Event | None = None
    place = 0
    for event in events:
        lives.take(event)
        if event.index == wanted:
            faulty, place = None if judged else event, total
        if isinstance(event, Bugcheck | Stop) and not isinstance(fatal, Bugcheck):
            fatal = event
            place = total if wanted is None else place
        last = event
        total += 1
    if run.outcome.failed and not judged and not any(proof.broken for proof in proofs):
        faulty = fatal or last
        if faulty is not None:
            mark = None if fatal is None else Mark.BREAKING
            proofs.insert(0, DrawnProof(run.reason, True, (ProofEvent(faulty.index, mark),)))
            place = place if fatal is not None else total - 1
    begin = max(0, min(place - room // 2, total - room))
    timeline = Timeline(lives, text)
    _take(timeline, events, begin, room)
    part = f"The timeline has {len(timeline)} of {total} events." if len(timeline) < total else ""
    left_out = " ".join(sentence for sentence in (part, timeline.shortened) if sentence)
    payload = packed(timeline.document() | {"proofs": list(_documents(proofs))})
    return Drawing(tuple(proofs), payload, left_out, len(timeline), faulty)


def _take(timeline: Timeline, events: Iterable[Event], first: int, room: int) -> None:
    """So many events from this one on; the lives are numbered anew, as they were before."""
    again = Lives()
    for number, event in enumerate(events):
        life = again.take(event)
        if first <= number < first + room:
            timeline.take(event, life)


def _documents(proofs: Sequence[DrawnProof]) -> Iterator[dict[str, object]]:
    for proof in proofs:
        at = [
            [point.index, LAST if point.mark is None else point.mark.value, point.line] for point in proof.at
        ]
        yield {"words": proof.shown, "broken": proof.broken, "at": at}
