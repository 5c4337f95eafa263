"""The order that a scenario expects, line by line of its file, and what became of each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.order.promises import parts_of
from harness.order.result import Status
from harness.scenario.model import Expectation, Item, Never
from harness.verdict.judgedrun import JudgedRun

__all__ = ["BROKEN", "MAX_LINES", "ExpectedLine", "expected_lines"]

MAX_LINES: Final = 1_000
"""Lines of a scenario file that are shown."""
BROKEN: Final = (Status.CAME, Status.MISPLACED, Status.NOT_FOUND)
"""What breaks the block of a line."""
_WORSE: Final = (
    *BROKEN,
    Status.NOT_JUDGED,
    Status.HELD,
    Status.NOT_REACHED,
)
"""Of one line that is judged twice the first of these counts."""


@dataclass
class ExpectedLine:
    """One line of the scenario file."""

    number: int
    text: str
    status: Status | None = None
    """What became of the promise that it is; None: it is none by itself."""
    why: str = ""
    events: tuple[int, ...] = ()
    """Indices of the events that stood for it, came nearest to it or are forbidden by it."""


def expected_lines(run: JudgedRun, text: str) -> list[ExpectedLine]:
    """The lines of the blocks that are told of in the run's check; none where it has none.

    :param text: of the scenario file; what it lacks has no text.
    """
    check = run.check
    if check is None:
        return []
    lines = _Lines()
    blocks: dict[int, Expectation] = {}
    for witness in check.witnesses:
        blocks[witness.expectation.line] = witness.expectation
        for match in witness.matches:
            lines.say(match.pattern.line, Status.HELD, index=match.index)
    for unobserved in check.unobserved:
        if unobserved.expectation is not None:
            blocks[unobserved.expectation.line] = unobserved.expectation
        if unobserved.line is not None:
            lines.say(unobserved.line, Status.NOT_JUDGED, f"{unobserved.what}: {unobserved.why}")
    for unjudged in check.unjudged:
        if unjudged.expectation is not None:
            blocks[unjudged.expectation.line] = unjudged.expectation
            for number in _numbers((unjudged.expectation,)):
                lines.say(number, Status.NOT_JUDGED, unjudged.reason)
    for failure in check.failures:
        if failure.expectation is not None:
            blocks[failure.expectation.line] = failure.expectation
        doubt = run.doubt(failure)
        for promise in failure.explanation.promises:
            if doubt and promise.status in BROKEN:
                lines.say(promise.line, Status.NOT_JUDGED, doubt)
            else:
                lines.say(promise.line, promise.status, promise.why, index=promise.index)
    numbers = sorted(set(_whole(blocks.values())) | lines.of.keys())[:MAX_LINES]
    found = [lines.of.get(number) or ExpectedLine(number, "") for number in numbers]
    rows = text.splitlines()
    for line in found:
        line.text = rows[line.number - 1] if 0 < line.number <= len(rows) else ""
    return found


class _Lines:
    """What was said of each line; of two promises on one line the one in the worse state."""

    def __init__(self) -> None:
        self.of: dict[int, ExpectedLine] = {}

    def say(self, number: int, status: Status, why: str = "", *, index: int | None = None) -> None:
        line = self.of.setdefault(number, ExpectedLine(number, ""))
        if line.status is None or _WORSE.index(status) < _WORSE.index(line.status):
            line.status, line.why, line.events = status, why, ()
        if status is line.status and index is not None and index not in line.events:
            line.events += (index,)


def _whole(blocks: Iterable[Expectation]) -> Iterator[int]:
    """The numbers of all lines of the blocks, those between their items too."""
    for block in blocks:
        numbers = [block.line, *_numbers((block,))]
        yield from range(min(numbers), min(max(numbers), min(numbers) + MAX_LINES) + 1)


def _numbers(blocks: Iterable[Expectation]) -> Iterator[int]:
    """The lines of everything that the blocks say."""
    waiting: list[Item] = []
    for block in blocks:
        waiting += [*block.scope, *block.never, *([] if block.order is None else [block.order])]
    while waiting:
        item = waiting.pop()
        yield item.line
        waiting += item.patterns if isinstance(item, Never) else parts_of(item)
