"""What does not matter to a broken order: with anything else there, it is broken as well.

Each phrase is proved by searching the whole trace once more for an order that asks for less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from harness.events import Event
from harness.order.block import Block
from harness.order.patterns import Bindings
from harness.order.promises import parts_of
from harness.order.search import Search
from harness.scenario.model import (
    AnyOrder,
    AnyValue,
    Constraint,
    Expectation,
    Item,
    Never,
    Next,
    Not,
    OneOf,
    Optional,
    Pattern,
    Repeat,
    Sequence,
    Variable,
)

__all__ = ["MAX_EVENTS", "irrelevant_to"]

MAX_EVENTS = 10_000
"""Of a longer trace nothing is said: each field takes a search of its own."""
_MOST = 6
"""Fields that are tried at most."""


def irrelevant_to(
    pattern: Pattern,
    expectation: Expectation,
    compiled: Callable[[Expectation], Block],
    events: Iterable[Event],
    given: Bindings,
) -> tuple[str, ...]:
    """What does not matter of a pattern of the order for which nothing was found.

    :param expectation: the block, as far as it is judged; its scope has no variables.
    :param compiled: readies a block.
    """
    order = expectation.order
    if order is None:
        return ()
    line = pattern.line
    guarded = set(_names(p for p in (*_forbidden(order), *expectation.never)))

    def broken(asked: Expectation) -> bool:
        search = Search(compiled(asked), given)
        search.feed(events)
        return search.exhausted is None and search.forbidden is None and search.witness() is None

    free: list[str] = []
    loose = pattern
    for field, constraint in pattern.fields[:_MOST]:
        if isinstance(constraint, AnyValue) or guarded.intersection(_names_of(constraint)):
            continue
        looser = _without(loose, field)
        asked = replace(expectation, order=_replaced(order, pattern, looser))
        if broken(asked):
            loose = looser
            free.append(f"any {field}")
    phrases = [f"{', '.join(free)} on line {line}"] if free else []
    alone = Sequence((loose,), order.line)
    if order.items != (pattern,) and broken(replace(expectation, order=alone, only=False, never=())):
        phrases.append(f"the other lines, for line {line} alone is not found either")
    return tuple(phrases)


def _without(pattern: Pattern, field: str) -> Pattern:
    kept = tuple((name, AnyValue() if name == field else value) for name, value in pattern.fields)
    return replace(pattern, fields=kept)


def _replaced(sequence: Sequence, old: Pattern, new: Pattern) -> Sequence:
    def of(item: Item) -> Item:
        match item:
            case Pattern():
                return new if item is old else item
            case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
                return replace(item, items=tuple(map(of, items)))
            case Next(of=inner) | Optional(of=inner) | Repeat(of=inner):
                return replace(item, of=of(inner))
            case _:
                return item

    return replace(sequence, items=tuple(map(of, sequence.items)))


def _forbidden(item: Item) -> Iterator[Pattern]:
    if isinstance(item, Never):
        yield from item.patterns
    for part in parts_of(item):
        yield from _forbidden(part)


def _names(patterns: Iterable[Pattern]) -> Iterator[str]:
    for pattern in patterns:
        for _, constraint in pattern.fields:
            yield from _names_of(constraint)


def _names_of(constraint: Constraint) -> Iterator[str]:
    match constraint:
        case Variable(name=name) | Not(of=Variable(name=name)):
            yield name
