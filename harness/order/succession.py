"""Which pattern of an order must come after which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from harness.order.ops import AllOp, ChoiceOp, ListOp, Op, PatternOp, RepeatOp
from harness.order.patterns import CompiledPattern
from harness.order.ways import Assigned

__all__ = ["last_before"]

_Path: TypeAlias = tuple[tuple[Op, int], ...]
"""The operations around a pattern from the outermost on, and at which place in each it stands."""


def last_before(
    order: ListOp | None, pattern: CompiledPattern, matches: Sequence[Assigned]
) -> Assigned | None:
    """The last event found that must come before ``pattern``, which is waited for; None: none must."""
    path = None if order is None else _path(order, pattern)
    if order is None or path is None:
        return None
    for match in reversed(matches):
        other = _path(order, match.pattern)
        if other is not None and _follows(path, other):
            return match
    return None


def _follows(path: _Path, before: _Path) -> bool:
    """Must what stands at ``path`` come after what was found at ``before``?"""
    repeated = False
    for (op, place), (_, earlier) in zip(path, before, strict=False):
        if place != earlier:
            return isinstance(op, ListOp) and (place > earlier or repeated)
        repeated = repeated or isinstance(op, RepeatOp)
    return repeated  # the same pattern, in another round


def _path(op: Op, pattern: CompiledPattern) -> _Path | None:
    match op:
        case PatternOp(pattern=own):
            return () if own is pattern else None
        case ListOp(elements=elements):
            parts: Sequence[Op] = [element.op for element in elements]
        case AllOp(branches=branches) | ChoiceOp(branches=branches):
            parts = branches
        case RepeatOp(body=body):
            parts = [body]
    for place, part in enumerate(parts):
        found = _path(part, pattern)
        if found is not None:
            return ((op, place), *found)
    return None
