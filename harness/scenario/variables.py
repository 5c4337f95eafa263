"""Does every variable of an expectation mean something?

A variable that is named once agrees with nothing, so a misspelt name would pass for any value: that is an
error, and so is a variable that is asked for before anything could have given it a value.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping

from harness.scenario.fields import all_fields
from harness.scenario.model import (
    AnyOrder,
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
    Within,
)
from harness.scenario.nodes import Source

__all__ = ["check_variables", "local_variables", "variables_of"]


def check_variables(source: Source, expectation: Expectation, names: Mapping[str, int]) -> None:
    """Raise ScenarioError for a variable that could not do its work.

    :param names: what the steps bind → in how many rounds of a step ``repeat``; 0 outside of any.
    """
    uses = [use for item in _parts(expectation) for use in _uses(item)]
    counts = Counter(name for name, _, _ in uses)
    known = [*names, *counts]
    types: dict[str, tuple[type, int]] = dict.fromkeys(names, (int, 0))
    for name, field, line in uses:
        if counts[name] == 1 and name not in names:
            others = [other for other in known if other != name]
            close = difflib.get_close_matches(name, others, n=1)
            hint = f"did you mean ${close[0]}?" if close else "write 'any' for any value"
            source.fail(
                line, f"undefined variable ${name}: no step binds it, and it is named only here", hint=hint
            )
        wanted = all_fields()[field]
        if types.setdefault(name, (wanted, line))[0] is not wanted:
            source.fail(line, f"${name} is a number in one place and a text in another")
    _Walk(source, expectation, names).check()


def local_variables(repeat: Repeat, expectation: Expectation, names: Mapping[str, int]) -> frozenset[str]:
    """The variables that a ``repeat`` binds anew in each round.

    They are those named inside it only, and those that the steps bind once a round.
    """
    inside = Counter(name for name, _, _ in _uses(repeat))
    everywhere = Counter(name for item in _parts(expectation) for name, _, _ in _uses(item))
    return frozenset(
        name
        for name, count in inside.items()
        if names.get(name, 0) or (name not in names and everywhere[name] == count)
    )


def variables_of(pattern: Pattern) -> tuple[set[str], set[str]]:
    """The variables that a match gives a value, and those that it must differ from."""
    binds = {value.name for _, value in pattern.fields if isinstance(value, Variable)}
    differs = {
        value.of.name
        for _, value in pattern.fields
        if isinstance(value, Not) and isinstance(value.of, Variable)
    }
    return binds, differs


def _parts(expectation: Expectation) -> Iterator[Item]:
    yield from expectation.scope
    yield from expectation.never
    if expectation.order is not None:
        yield expectation.order


def _uses(item: Item) -> Iterator[tuple[str, str, int]]:
    """Every use of a variable: its name, the field, the line."""
    match item:
        case Pattern(fields=fields, line=line):
            for field, value in fields:
                inner = value.of if isinstance(value, Not) else value
                if isinstance(inner, Variable):
                    yield inner.name, field, line
        case Never(patterns=patterns):
            for pattern in patterns:
                yield from _uses(pattern)
        case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
            for inside in items:
                yield from _uses(inside)
        case Next(of=of) | Optional(of=of) | Repeat(of=of):
            yield from _uses(of)
        case Within():
            pass


class _Walk:
    """Follows the order and keeps which variables surely have a value."""

    def __init__(self, source: Source, expectation: Expectation, names: Mapping[str, int]) -> None:
        self._source = source
        self._expectation = expectation
        self._names = names

    def check(self) -> None:
        bound = {name for name, rounds in self._names.items() if not rounds}
        order = self._expectation.order
        after = bound if order is None else self._after(order, bound, None)
        for pattern in self._expectation.never:
            self._need(pattern, after, "where the order ends")
        ever = bound | ({name for name, _, _ in _uses(order)} if order is not None else set())
        for pattern in self._expectation.scope:
            self._need(pattern, ever, "in the whole order")

    def _after(self, item: Item, before: set[str], repeat: Repeat | None) -> set[str]:
        """What is bound after ``item``, given what is before; fails where a variable comes too early."""
        match item:
            case Pattern():
                binds, differs = variables_of(item)
                self._check_rounds(item, binds | differs, repeat)
                self._need_names(item, differs, before | binds, "before this line")
                return before | binds
            case Never(patterns=patterns):
                for pattern in patterns:
                    self._need(pattern, before, "before this line")
                return before
            case Within():
                return before
            case Sequence(items=items):
                for inner in items:
                    before = self._after(inner, before, repeat)
                return before
            case AnyOrder(items=items):
                return before.union(*(self._after(inner, before, repeat) for inner in items))
            case OneOf(items=items):
                return set.intersection(*(self._after(inner, before, repeat) for inner in items))
            case Optional(of=of):
                self._after(of, before, repeat)
                return before
            case Next(of=of):
                return self._after(of, before, repeat)
            case Repeat(of=of, minimum=minimum):
                local = local_variables(item, self._expectation, self._names)
                per_round = {name for name in local if name in self._names}
                if repeat is not None and per_round:
                    name = min(per_round)
                    self._source.fail(
                        item.line, f"${name} is bound once a round; which of two repeats is meant?"
                    )
                for name in per_round:
                    if minimum > self._names[name]:
                        self._source.fail(
                            item.line,
                            f"min {minimum} rounds, but the steps bind ${name} {self._names[name]} times",
                        )
                after = self._after(of, before - local | per_round, item)
                return after - local if minimum else before

    def _check_rounds(self, pattern: Pattern, names: set[str], repeat: Repeat | None) -> None:
        for name in names:
            if self._names.get(name, 0) and repeat is None:
                self._source.fail(
                    pattern.line,
                    f"${name} is bound in each round of a repeat of steps",
                    hint="use it inside a repeat of the order: round by round",
                )

    def _need(self, pattern: Pattern, bound: set[str], where: str) -> None:
        binds, differs = variables_of(pattern)
        self._need_names(pattern, binds | differs, bound, where)

    def _need_names(self, pattern: Pattern, names: set[str], bound: set[str], where: str) -> None:
        for name in sorted(names - bound):
            self._source.fail(pattern.line, f"${name} need not have a value {where}")
