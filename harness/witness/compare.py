"""What the driver printed of its callbacks, held against the calls that the target made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from harness.callbacks import CALLBACK_KINDS
from harness.events import Event, kind_of
from harness.witness.fields import COMPARED, fields_carried, same_value
from harness.witness.findings import Agreement, Disagreement, Fault, named, shown
from harness.witness.matching import Matching, TooManyDiffer

__all__ = ["MAX_CALLS", "MAX_FINDINGS", "callbacks_by_kind", "compare_witnesses"]

MAX_FINDINGS: Final = 16
"""Kept; the first says most."""
MAX_CALLS: Final = 500_000
"""Lines and calls that are held against one another; more are not."""
_KINDS: Final = {row.event: row.kind for row in CALLBACK_KINDS.values()}
_IDS: Final = ("pid", "tid", "base")
"""Numbers that say which process, thread or image it is."""


def compare_witnesses(
    printed: Iterable[Event], called: Iterable[Event], *, complete: bool, doubt: str = ""
) -> Agreement:
    """Hold lines against calls; other events than callbacks are left aside.

    A call that had not returned when the run ended need not be reported.

    :param printed: what the driver's lines say, in capture order.
    :param called: what another witness saw of the same driver's callbacks, in the order of entry.
    :param complete: the driver promises a line for each callback that it gets, and none without. Where it
        does not, only a wrong field of a line that can be about one call alone is its fault.
    :param doubt: why a line may be missing that the driver printed; empty: none can.
    """
    lines, calls = callbacks_by_kind(printed), callbacks_by_kind(called)
    if sum(map(len, (*lines.values(), *calls.values()))) > MAX_CALLS:
        return Agreement(
            not_judged=(f"not judged: lines and calls, of which there are more than {MAX_CALLS}",)
        )
    compared, findings, not_judged = 0, list[Disagreement](), list[str]()
    pairs: list[tuple[Event, Event]] = []
    for kind in COMPARED:
        if not lines[kind]:
            if complete and calls[kind]:
                not_judged.append(_none_printed(kind))
            continue
        try:
            one = _Kind(kind, lines[kind], calls[kind], complete=complete)
            findings += one.findings(doubt)
        except TooManyDiffer:
            not_judged.append(
                f"not judged: whether the lines of each {kind} agree with its call: too many differ"
            )
            continue
        compared += len(lines[kind])
        pairs += one.certain()
        if complete and (why := doubt or one.ambiguous):
            not_judged.append(f"not judged: whether each {kind} that was called is reported: {why}")
    if complete:
        findings += _late(pairs)
    findings.sort(key=_place)
    return Agreement(
        compared, tuple(findings[:MAX_FINDINGS]), len(findings[MAX_FINDINGS:]), tuple(not_judged)
    )


def _late(pairs: list[tuple[Event, Event]]) -> Iterator[Disagreement]:
    """Of one thread, lines that come after the line of a callback which was entered when theirs had returned.

    A thread prints in the order in which it does things, wherever its lines come among those of others.
    """
    latest: dict[tuple[int, int, int | None], tuple[int, Event]] = {}
    for event, call in sorted(pairs, key=lambda pair: pair[0].index):
        left = None if call.call is None else call.call.left
        if call.time is None or left is None:
            continue
        thread = (*_context(call), call.cpu)
        entered, before = latest.get(thread, (call.time, call))
        if left < entered:
            message = f"{named(call)}, after {named(before)} of the same thread, which came later"
            yield Disagreement(Fault.LATE, message, event.index, call.index)
        if call.time >= entered:
            latest[thread] = (call.time, call)


def callbacks_by_kind(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The callbacks among some events, in their order: kind → events."""
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if (kind := _KINDS.get(type(event))) is not None:
            found[kind].append(event)
    return found


def _none_printed(kind: str) -> str:
    return f"not judged: whether each {kind} that was called is reported: no line of this driver reports one"


def _place(finding: Disagreement) -> tuple[int, int]:
    """In the order of the calls; what was not called comes last."""
    called = MAX_CALLS if finding.called is None else finding.called
    return called, finding.printed or 0


class _Kind:
    """Lines and calls of one kind."""

    def __init__(
        self, kind: str, printed: Sequence[Event], called: Sequence[Event], *, complete: bool
    ) -> None:
        self._printed = printed
        self._called = called
        self._complete = complete
        self._pairs = Matching(printed, called)
        routines = {event.call.routine for event in called if event.call is not None}
        self.ambiguous = f"{len(routines)} routines of the driver are told of it" if len(routines) > 1 else ""
        """Why it is not known how many lines there should be; empty: one for each call."""

    def findings(self, doubt: str) -> Iterator[Disagreement]:
        """What does not agree.

        :param doubt: see :func:`compare_witnesses`.
        :raises TooManyDiffer: it cannot be told.
        """
        open_calls = self._pairs.calls_left()
        lines = self._pairs.lines_left()
        for line in lines[:MAX_FINDINGS]:
            yield from self._line(line, open_calls)
        if self._complete and len(lines) <= MAX_FINDINGS and not (doubt or self.ambiguous):
            yield from self._not_reported(open_calls)

    def _line(self, line: int, open_calls: list[int]) -> Iterator[Disagreement]:
        """A line that no call is left for; takes the call that it is likely about from the open ones."""
        event, same = self._printed[line], self._pairs.calls_for(line)
        if self._complete and same:
            call = self._called[same[0]]
            yield Disagreement(Fault.TWICE, named(call), event.index, call.index)
            return
        about = self._pairs.likely(line, open_calls) if self._complete else self._only(event, open_calls)
        if about is not None:
            open_calls.remove(about)
            yield self._wrong(event, self._called[about])
        elif self._complete:
            yield Disagreement(Fault.NOT_CALLED, named(event), event.index)

    def _only(self, event: Event, open_calls: Sequence[int]) -> int | None:
        """The open call that a line is about, where it can be about no other."""
        ids = [field for field in fields_carried(event) if field in _IDS]
        found = [
            place
            for place, call in enumerate(self._called)
            if all(same_value(field, event, call) for field in ids)
        ]
        return found[0] if ids and len(found) == 1 and found[0] in open_calls else None

    def _wrong(self, event: Event, call: Event) -> Disagreement:
        fields = [*fields_carried(event), "image"] if hasattr(event, "image") else fields_carried(event)
        wrong = [field for field in fields if not same_value(field, event, call)]
        values = ", ".join(
            f"{field} {shown(field, getattr(event, field))} is printed,"
            f" {shown(field, getattr(call, field))} was told"
            for field in wrong
        )
        return Disagreement(Fault.WRONG_FIELD, f"{named(call)}: {values}", event.index, call.index)

    def certain(self) -> list[tuple[Event, Event]]:
        """Lines with the one call that each can be about."""
        pairs = self._pairs
        return [(self._printed[line], self._called[pairs.call_of[line]]) for line in pairs.certain]

    def _not_reported(self, open_calls: Sequence[int]) -> Iterator[Disagreement]:
        for place in open_calls:
            call = self._called[place]
            if call.call is not None and call.call.left is not None:
                pid, tid = _context(call)
                message = f"{named(call)}, in thread {tid} of process {pid}"
                yield Disagreement(Fault.NOT_REPORTED, message, called=call.index)


def _context(call: Event) -> tuple[int, int]:
    pid, tid = CALLBACK_KINDS[kind_of(call)].context_fields
    return getattr(call, pid), getattr(call, tid)
