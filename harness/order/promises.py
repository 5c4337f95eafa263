"""What the promises of an expectation are, one by one, so that they can be counted.

Each event that an order asks for is one, and so is each of its fields; each ``next`` and ``within``; each
pattern of a ``never``; and ``only``.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.model import (
    AnyOrder,
    AnyValue,
    Expectation,
    Item,
    Never,
    Next,
    OneOf,
    Optional,
    Pattern,
    Repeat,
    Sequence,
    Within,
)

__all__ = [
    "count_of_item",
    "count_of_pattern",
    "count_promises",
    "parts_of",
    "patterns_to_come",
    "speaks_of_all",
]


def count_promises(expectation: Expectation) -> int:
    """How many promises the block makes."""
    order = 0 if expectation.order is None else count_of_item(expectation.order)
    return order + len(expectation.never) + expectation.only


def count_of_item(item: Item) -> int:
    """How many promises an item of an order makes."""
    match item:
        case Pattern():
            return count_of_pattern(item)
        case Never(patterns=patterns):
            return len(patterns)
        case Within():
            return 1
        case _:
            return isinstance(item, Next) + sum(map(count_of_item, parts_of(item)))


def count_of_pattern(pattern: Pattern) -> int:
    """An event that must come, and what it must carry."""
    return 1 + sum(not isinstance(constraint, AnyValue) for _, constraint in pattern.fields)


def parts_of(item: Item) -> tuple[Item, ...]:
    """The items that an item consists of."""
    match item:
        case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
            return items
        case Next(of=of) | Optional(of=of) | Repeat(of=of):
            return (of,)
        case _:
            return ()


def patterns_to_come(item: Item) -> Iterator[Pattern]:
    """The patterns of the events that an item asks for, not those that a ``never`` in it forbids."""
    if isinstance(item, Pattern):
        yield item
    for part in parts_of(item):
        yield from patterns_to_come(part)


def speaks_of_all(expectation: Expectation) -> bool:
    """Whether an event in scope of a kind that no pattern names makes a difference."""

    def has_next(item: Item) -> bool:
        return isinstance(item, Next) or any(map(has_next, parts_of(item)))

    return expectation.only or (expectation.order is not None and has_next(expectation.order))
