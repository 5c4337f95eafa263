"""The order that a scenario expects, line by line of its file, and what became of each line."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.order import CheckResult
from harness.scenario.model import (
    AnyOrder,
    Expectation,
    Item,
    Never,
    Next,
    OneOf,
    Optional,
    Pattern,
    Repeat,
    Sequence,
)

__all__ = ["MAX_LINES", "ExpectedLine", "LineState", "expected_lines"]

MAX_LINES: Final = 1_000
"""Lines of a scenario file that are shown."""


class LineState(enum.Enum):
    """What became of a line."""

    KEPT = "kept"
    BROKEN = "broken"
    AWAITED = "also waited for"
    NOT_JUDGED = "not judged"
    PLAIN = ""
    """It says nothing that is judged by itself."""


@dataclass
class ExpectedLine:
    """One line of the scenario file."""

    number: int
    text: str
    state: LineState = LineState.PLAIN
    why: str = ""
    events: tuple[int, ...] = ()
    """Indices of the events that stood for it."""


def expected_lines(check: CheckResult, text: str) -> list[ExpectedLine]:
    """The lines of the blocks that are told of in ``check``.

    :param text: of the scenario file; what it lacks has no text.
    """
    states: dict[int, ExpectedLine] = {}

    def say(number: int, state: LineState, why: str = "") -> None:
        line = states.setdefault(number, ExpectedLine(number, ""))
        line.state = state
        line.why = line.why or why

    blocks: dict[int, Expectation] = {}
    for unobserved in check.unobserved:
        if unobserved.expectation is not None:
            blocks[unobserved.expectation.line] = unobserved.expectation
    for witness in check.witnesses:
        blocks[witness.expectation.line] = witness.expectation
        for match in witness.matches:
            say(match.pattern.line, LineState.KEPT)
            states[match.pattern.line].events += (match.index,)
    for unobserved in check.unobserved:
        if unobserved.line is not None:
            say(unobserved.line, LineState.NOT_JUDGED, f"{unobserved.what}: {unobserved.why}")
    for unjudged in check.unjudged:
        if unjudged.expectation is not None:
            blocks[unjudged.expectation.line] = unjudged.expectation
            for number in _numbers((unjudged.expectation,)):
                say(number, LineState.NOT_JUDGED, unjudged.reason)
    for failure in check.failures:
        if failure.expectation is not None:
            blocks[failure.expectation.line] = failure.expectation
        for awaited in failure.awaited:
            say(awaited.line, LineState.AWAITED)
        if failure.place is not None:
            say(failure.place.line, LineState.BROKEN)
    rows = text.splitlines()
    numbers = sorted(set(_whole(blocks.values())) | states.keys())[:MAX_LINES]
    found = [states.get(number) or ExpectedLine(number, "") for number in numbers]
    for line in found:
        line.text = rows[line.number - 1] if 0 < line.number <= len(rows) else ""
    return found


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
        match item:
            case Sequence() | AnyOrder() | OneOf():
                waiting += item.items
            case Next() | Optional() | Repeat():
                waiting.append(item.of)
            case Never():
                waiting += item.patterns
            case Pattern():
                pass
