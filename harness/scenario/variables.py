"""Does every variable of an expectation mean something?

What no step binds is free: it takes the value of the first event that it fits, so a misspelt name would pass
for any value. It is an error where a free variable is named once, for then it agrees with nothing; where it
is a slip of typing away from another name, however often it is written, unless the block declares it
(``free``); and where it is asked for before anything could have given it a value.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

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
from harness.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, Source

__all__ = ["Names", "check_variables", "count_uses", "local_variables", "variables_of"]

_ALIKE = 0.8
"""From which ratio of :class:`difflib.SequenceMatcher` on two names that differ by a slip are alike."""


@dataclass(frozen=True)
class Names:
    """What the steps bind."""

    rounds: Mapping[str, int]
    """Name → in how many rounds of a step ``repeat``; 0 outside of any."""
    unsure: Set[str] = frozenset()
    """What steps that could not be read may bind."""

    def __contains__(self, name: str) -> bool:
        return name in self.rounds or name in self.unsure

    def __iter__(self) -> Iterator[str]:
        yield from self.rounds
        yield from self.unsure


def check_variables(
    source: Source,
    block: Node,
    expectation: Expectation,
    names: Names,
    free: Mapping[str, Node],
    *,
    whole: bool,
) -> None:
    """Note every variable that could not do its work.

    :param block: what ``expectation`` was read from; names are counted in it.
    :param free: the names that the block declares, each with its place.
    :param whole: the block was read without a mistake; else nothing is said of what binds a variable.
    """
    counts = Counter(_named(block))
    nearest = _Nearest([*names, *free])
    types: dict[str, type] = {}
    judged: set[str] = set()
    for name, field, line in (use for item in _parts(expectation) for use in _uses(item)):
        if name not in judged and name not in names and name not in free:
            _check_free(source, name, line, counts, [*names, *counts], nearest)
        judged.add(name)
        wanted = all_fields()[field]
        if types.setdefault(name, int if name in names else wanted) is not wanted:
            source.note(line, f"${name} is a number in one place and a text in another")
    for name, place in free.items():
        if name in names:
            source.note(place, f"'free' declares ${name}, which a step binds")
        elif name not in counts:
            source.note(place, f"'free' declares ${name}, which is not named in this block")
    if whole and not names.unsure:
        _Walk(source, expectation, names.rounds).check()


def _check_free(
    source: Source,
    name: str,
    line: int,
    counts: Mapping[str, int],
    known: Iterable[str],
    nearest: _Nearest,
) -> None:
    if counts[name] == 1:
        close = difflib.get_close_matches(name, [other for other in known if other != name], n=1)
        hint = f"did you mean ${close[0]}?" if close else "write 'any' for any value"
        source.note(
            line, f"undefined variable ${name}: no step binds it, and it is named only here", hint=hint
        )
    elif (other := nearest.of(name)) is not None:
        source.note(
            line,
            f"undefined variable ${name}: no step binds it, and it is nearly ${other}",
            hint=f"write ${other}, or 'free: [{name}]' beside the order where it is another",
        )
    else:
        nearest.add(name)


class _Nearest:
    """Finds the name that another one is a slip of typing away from.

    Two names are that where they become the same when each loses at most one letter: one letter is missing,
    is too many, is another, or two have changed places. Each name is kept under all that it can so become, so
    that the cost does not grow with the square of their number.

    :param bound: names that cannot be slips themselves.
    """

    def __init__(self, bound: Iterable[str]) -> None:
        self._bound = set(bound)
        self._kept: dict[str, list[str]] = {}
        for name in self._bound:
            self.add(name)

    def add(self, name: str) -> None:
        """Keep one more name."""
        for form in _forms(name):
            self._kept.setdefault(form, []).append(name)

    def of(self, name: str) -> str | None:
        """The nearest one that is kept, or None."""
        thread_of = name.removesuffix(".tid")
        if thread_of != name and thread_of in self._bound:
            return thread_of
        found = {other for form in _forms(name) for other in self._kept.get(form, ())}
        alike = [(_ratio(name, other), other) for other in found if not self._of_a_series(name, other)]
        best, other = max(alike, default=(0.0, ""))
        return other if best >= _ALIKE else None

    def _of_a_series(self, name: str, other: str) -> bool:
        """$child1 and $child2 are both meant, where no step binds either."""
        return other not in self._bound and name.rstrip("0123456789") == other.rstrip("0123456789")


def _forms(name: str) -> Iterator[str]:
    word = name.removesuffix(".tid")
    suffix = name[len(word) :]
    yield name
    for form in {word[:place] + word[place + 1 :] for place in range(len(word))}:
        yield form + suffix


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.removesuffix(".tid"), other.removesuffix(".tid")).ratio()


def _named(node: Node) -> Iterator[str]:
    """Every variable in a part of the file, as often as it is there."""
    match node:
        case ScalarNode(value=str(text)) if text.startswith("$"):
            yield text[1:]
        case ListNode(items=items):
            for item in items:
                yield from _named(item)
        case MapNode(entries=entries):
            for key, value in entries.items():
                if key != "free":
                    yield from _named(value)


def count_uses(expectation: Expectation) -> Counter[str]:
    """How often each variable is named."""
    return Counter(name for item in _parts(expectation) for name, _, _ in _uses(item))


def local_variables(
    repeat: Repeat, everywhere: Mapping[str, int], rounds: Mapping[str, int]
) -> frozenset[str]:
    """The variables that a ``repeat`` binds anew in each round.

    They are those named inside it only, and those that the steps bind once a round.

    :param everywhere: see :func:`count_uses`.
    :param rounds: see :class:`Names`.
    """
    inside = Counter(name for name, _, _ in _uses(repeat))
    return frozenset(
        name
        for name, count in inside.items()
        if rounds.get(name, 0) or (name not in rounds and everywhere[name] == count)
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

    def __init__(self, source: Source, expectation: Expectation, rounds: Mapping[str, int]) -> None:
        self._source = source
        self._expectation = expectation
        self._rounds = rounds
        self._everywhere = count_uses(expectation)
        self._bound = {name for name, number in rounds.items() if not number}
        self._order: list[str] = []  # what the items so far have bound, the latest last

    def check(self) -> None:
        order = self._expectation.order
        ever = set(self._bound)
        if order is not None:
            ever |= {name for name, _, _ in _uses(order)}
            self._follow(order, None)
        for pattern in self._expectation.never:
            self._need_all(pattern, self._bound, "where the order ends")
        scope = self._expectation.scope
        # What is in scope is known before anything of the order is: by the steps, and by the scope itself.
        known = {name for name, number in self._rounds.items() if not number}
        known = known.union(*(variables_of(pattern)[0] for pattern in scope))
        for pattern in scope:
            self._need_all(pattern, ever, "in the whole order")
            hint = "what a scope excludes is bound by a step, or is a value of the scope itself"
            self._need(pattern, variables_of(pattern)[1] & ever, known, "where the scope is found", hint=hint)

    def _follow(self, item: Item, repeat: Repeat | None) -> None:
        """Bind what ``item`` surely binds; note where a variable comes too early."""
        match item:
            case Pattern():
                binds, differs = variables_of(item)
                self._check_rounds(item, binds | differs, repeat)
                self._bind(binds)
                self._need(item, differs, self._bound, "before this line")
            case Never(patterns=patterns):
                for pattern in patterns:
                    self._need_all(pattern, self._bound, "before this line")
            case Within():
                pass
            case Sequence(items=items):
                for inner in items:
                    self._follow(inner, repeat)
            case AnyOrder(items=items):
                self._bind(set().union(*[self._bound_by(inner, repeat) for inner in items]))
            case OneOf(items=items):
                self._bind(set.intersection(*[self._bound_by(inner, repeat) for inner in items]))
            case Optional(of=of):
                self._bound_by(of, repeat)
            case Next(of=of):
                self._follow(of, repeat)
            case Repeat(of=of, minimum=minimum):
                local = local_variables(item, self._everywhere, self._rounds)
                per_round = {name for name in local if name in self._rounds}
                self._check_repeat(item, per_round, repeat)
                inside = self._bound_by(of, item, per_round)
                if minimum:
                    self._bind(inside - local)

    def _bind(self, names: Iterable[str]) -> None:
        new = [name for name in names if name not in self._bound]
        self._bound.update(new)
        self._order += new

    def _bound_by(self, item: Item, repeat: Repeat | None, given: Iterable[str] = ()) -> set[str]:
        """What ``item`` binds besides what is bound, which is as before afterwards."""
        before = len(self._order)
        self._bind(given)
        self._follow(item, repeat)
        new = set(self._order[before:])
        del self._order[before:]
        self._bound -= new
        return new

    def _check_repeat(self, item: Repeat, per_round: set[str], outer: Repeat | None) -> None:
        if outer is not None and per_round:
            self._source.note(
                item.line, f"${min(per_round)} is bound once a round; which of two repeats is meant?"
            )
            return
        for name in sorted(per_round):
            if item.minimum > self._rounds[name]:
                self._source.note(
                    item.line,
                    f"min {item.minimum} rounds, but the steps bind ${name} {self._rounds[name]} times",
                )

    def _check_rounds(self, pattern: Pattern, names: set[str], repeat: Repeat | None) -> None:
        for name in sorted(names):
            if self._rounds.get(name, 0) and repeat is None:
                self._source.note(
                    pattern.line,
                    f"${name} is bound in each round of a repeat of steps",
                    hint="use it inside a repeat of the order: round by round",
                )

    def _need_all(self, pattern: Pattern, bound: set[str], where: str) -> None:
        binds, differs = variables_of(pattern)
        self._need(pattern, binds | differs, bound, where)

    def _need(
        self, pattern: Pattern, names: set[str], bound: set[str], where: str, *, hint: str = ""
    ) -> None:
        for name in sorted(names - bound):
            self._source.note(pattern.line, f"${name} need not have a value {where}", hint=hint)
