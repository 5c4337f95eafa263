"""What became of each promise of a block whose order is broken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from harness.order.block import Block
from harness.order.ops import AllOp, ChoiceOp, ListOp, Op, PatternOp, RepeatOp
from harness.order.patterns import CompiledPattern, describe
from harness.order.result import Miss, PromiseStatus, Status, Unobserved
from harness.order.ways import Assigned, Standing

__all__ = ["MISPLACED", "statuses_of"]

MISPLACED = frozenset({"its place", "its time"})
"""What is said to be wrong with an event that has every field right."""


def statuses_of(
    block: Block,
    standing: Standing,
    awaited: Mapping[CompiledPattern, bool],
    miss: Miss | None,
    came: Assigned | None,
    unobserved: Collection[Unobserved],
) -> tuple[PromiseStatus, ...]:
    """A status a pattern, in the order of the file; of what was not needed, another branch or something that
    may be missing, there is none.

    :param awaited: the patterns that the order was waiting for, and whether it needs them.
    :param came: the event that a ``never`` forbids.
    """
    claimed = {match.pattern: match.index for match in standing.matches}
    order = [] if block.order is None else list(_patterns(block.order))
    last = max((place for place, (pattern, _) in enumerate(order) if pattern in claimed), default=-1)
    found: list[PromiseStatus] = []
    for place, (pattern, forbidden) in enumerate([*order, *((pattern, True) for pattern in block.never)]):
        line, words = pattern.source.line, describe(pattern)
        if forbidden:
            words = f"never {words}"
        if forbidden and came is not None and came.pattern is pattern:
            found.append(PromiseStatus(line, words, Status.CAME, came.index))
        elif awaited.get(pattern):
            found.append(_not_found(line, words, miss))
        elif pattern in claimed:
            found.append(PromiseStatus(line, words, Status.HELD, claimed[pattern]))
        elif pattern in awaited:
            continue
        elif place > last or forbidden:
            held = forbidden and place < last
            found.append(PromiseStatus(line, words, Status.HELD if held else Status.NOT_REACHED))
    found += [
        PromiseStatus(said.line, said.what, Status.NOT_JUDGED, why=said.why)
        for said in unobserved
        if said.line is not None
    ]
    return tuple(sorted(found, key=lambda status: status.line))


def _not_found(line: int, words: str, miss: Miss | None) -> PromiseStatus:
    if miss is None or miss.line != line:
        return PromiseStatus(line, words, Status.NOT_FOUND)
    why = ", ".join(f"{wrong.field} is {wrong.found}, expected {wrong.expected}" for wrong in miss.wrong)
    misplaced = all(wrong.field in MISPLACED for wrong in miss.wrong)
    return PromiseStatus(line, words, Status.MISPLACED if misplaced else Status.NOT_FOUND, miss.index, why)


def _patterns(op: Op) -> Iterator[tuple[CompiledPattern, bool]]:
    """Every pattern, and whether it is forbidden, in the order of the file."""
    match op:
        case PatternOp(pattern=pattern):
            yield pattern, False
        case ListOp(elements=elements, after=after):
            for element in elements:
                yield from ((pattern, True) for pattern in element.gap.never)
                yield from _patterns(element.op)
            yield from ((pattern, True) for pattern in after)
        case AllOp(branches=branches) | ChoiceOp(branches=branches):
            for branch in branches:
                yield from _patterns(branch)
        case RepeatOp(body=body):
            yield from _patterns(body)
