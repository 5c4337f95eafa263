"""What became of each promise of a block whose order is broken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from harness.order.block import Block
from harness.order.ops import AllOp, ChoiceOp, ListOp, Op, PatternOp, RepeatOp
from harness.order.patterns import CompiledPattern, describe
from harness.order.result import PromiseStatus, Status, Unobserved
from harness.order.standing import NearMiss
from harness.order.ways import Assigned, Standing

__all__ = ["MISPLACED", "statuses_of"]

MISPLACED = frozenset({"its place", "its time"})
"""What is said to be wrong with an event that has every field right."""


def statuses_of(
    block: Block,
    standing: Standing,
    awaited: Mapping[CompiledPattern, bool],
    near: NearMiss | None,
    came: Assigned | None,
    unobserved: Collection[Unobserved],
) -> tuple[PromiseStatus, ...]:
    """A status a pattern, in the order of the file; of what was not needed, another branch or something that
    may be missing, there is none. What a gap forbids held where the item after the gap began.

    :param awaited: the patterns that the order was waiting for, and whether it needs them.
    :param near: the event that comes nearest to one of them.
    :param came: the event that a ``never`` forbids.
    """
    claimed = {match.pattern: match.index for match in standing.matches}
    promised = [] if block.order is None else list(_promises(block.order, claimed, Status.NOT_REACHED))
    promised += (_Promise(pattern, True, Status.NOT_REACHED) for pattern in block.never)
    found: list[PromiseStatus] = []
    for pattern, forbidden, status in promised:
        line, words = pattern.source.line, describe(pattern)
        if forbidden:
            words = f"never {words}"
        if forbidden and came is not None and came.pattern is pattern:
            found.append(PromiseStatus(line, words, Status.CAME, came.index))
        elif awaited.get(pattern):
            found.append(_not_found(line, words, near))
        elif status is not None and (status is Status.HELD or pattern not in awaited):
            found.append(PromiseStatus(line, words, status, claimed.get(pattern)))
    found += [
        PromiseStatus(said.line, said.what, Status.NOT_JUDGED, why=said.why)
        for said in unobserved
        if said.line is not None
    ]
    return tuple(sorted(found, key=lambda status: status.line))


def _not_found(line: int, words: str, near: NearMiss | None) -> PromiseStatus:
    if near is None or near.line != line:
        return PromiseStatus(line, words, Status.NOT_FOUND)
    why = ", ".join(f"{wrong.field} is {wrong.found}, expected {wrong.expected}" for wrong in near.wrong)
    misplaced = all(wrong.field in MISPLACED for wrong in near.wrong)
    status = Status.MISPLACED if misplaced else Status.NOT_FOUND
    return PromiseStatus(line, words, status, near.event.index, why)


class _Promise(NamedTuple):
    """A pattern of the order."""

    pattern: CompiledPattern
    forbidden: bool
    status: Status | None
    """Where it was not waited for in vain and is not what came; None: it was not needed."""


def _promises(op: Op, claimed: Collection[CompiledPattern], unclaimed: Status | None) -> Iterator[_Promise]:
    """Every pattern, in the order of the file.

    :param unclaimed: the status of a pattern of ``op`` that no event stands for.
    """
    if op.may_be_missing and not _is_begun(op, claimed):
        unclaimed = None
    match op:
        case PatternOp(pattern=pattern):
            yield _Promise(pattern, False, Status.HELD if pattern in claimed else unclaimed)
        case ListOp(elements=elements, after=after):
            begun = [place for place, element in enumerate(elements) if _is_begun(element.op, claimed)]
            last = max(begun, default=-1)
            for place, element in enumerate(elements):
                # The gap of an item that is missing goes over to the next that is not.
                kept = Status.HELD if place <= last else unclaimed
                yield from (_Promise(pattern, True, kept) for pattern in element.gap.never)
                yield from _promises(element.op, claimed, None if place < last else unclaimed)
            yield from (_Promise(pattern, True, unclaimed) for pattern in after)
        case AllOp(branches=branches):
            for branch in branches:
                yield from _promises(branch, claimed, unclaimed)
        case ChoiceOp(branches=branches):
            chosen = [_is_begun(branch, claimed) for branch in branches]
            for branch, taken in zip(branches, chosen, strict=True):
                yield from _promises(branch, claimed, unclaimed if taken or not any(chosen) else None)
        case RepeatOp(body=body):
            yield from _promises(body, claimed, unclaimed)


def _is_begun(op: Op, claimed: Collection[CompiledPattern]) -> bool:
    """Does an event stand for a pattern of ``op``?"""
    match op:
        case PatternOp(pattern=pattern):
            return pattern in claimed
        case ListOp(elements=elements):
            return any(_is_begun(element.op, claimed) for element in elements)
        case AllOp(branches=branches) | ChoiceOp(branches=branches):
            return any(_is_begun(branch, claimed) for branch in branches)
        case RepeatOp(body=body):
            return _is_begun(body, claimed)
