"""Reading the ``expect`` of a scenario."""

from __future__ import annotations

from collections.abc import Mapping

from harness.events import KINDS
from harness.scenario.fields import FIELDS, all_fields, kinds_with
from harness.scenario.keys import EXPECT_KEYS
from harness.scenario.model import (
    AnyOrder,
    AnyValue,
    Constraint,
    Expectation,
    Item,
    Literal,
    Never,
    Next,
    Not,
    OneOf,
    OneOfValues,
    Optional,
    Pattern,
    Repeat,
    Sequence,
    Variable,
    Within,
)
from harness.scenario.steps import read_variable
from harness.scenario.variables import Names, check_variables
from harness.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, Source, describe

__all__ = [
    "ITEMS",
    "MAX_BRANCHES",
    "MAX_NUMBER",
    "MAX_ROUNDS",
    "has_limit",
    "may_be_missing",
    "patterns_of",
    "read_constant_patterns",
    "read_expectations",
    "read_requires",
]

ITEMS = ("next", "any_order", "one_of", "optional", "repeat", "never", "within")
"""What an item of an order may be besides a pattern."""

MAX_BRANCHES = 64
"""Items of one ``any_order`` or ``one_of``."""

MAX_ROUNDS = 1_000_000
"""``min`` and ``max`` of a ``repeat``."""

MAX_NUMBER = (1 << 64) - 1


def read_expectations(source: Source, node: Node, names: Names) -> tuple[Expectation, ...]:
    """The blocks of ``expect``: a mapping, or a list of mappings.

    :param names: what the steps bind.
    """
    blocks = source.list(node, "expect") if isinstance(node, ListNode) else (node,)
    return source.each(blocks, lambda block: _block(source, block, names))


def _block(source: Source, node: Node, names: Names) -> Expectation:
    noted = len(source.mistakes)
    entries = source.mapping(node, "expect", optional=EXPECT_KEYS)
    sound = len(source.mistakes) == noted
    if sound and "order" not in entries and "never" not in entries:
        source.fail(node, "expect promises nothing", hint="give it an 'order' or a 'never'")
    only = source.entry(entries, "only", lambda node: source.boolean(node, "only"), False)
    if sound and only and "order" not in entries:
        source.fail(entries["only"], "'only' without an 'order' would forbid everything")
    free: dict[str, Node] = source.entry(entries, "free", lambda node: _free(source, node), {})
    expectation = Expectation(
        scope=source.entry(entries, "scope", lambda node: _scope(source, node), ()),
        order=source.entry(entries, "order", lambda node: _order(source, node), None),
        never=source.entry(entries, "never", lambda node: _patterns(source, node, "never"), ()),
        only=only,
        line=node.line,
        requires=source.entry(
            entries, "requires", lambda node: read_constant_patterns(source, node, "requires"), ()
        ),
    )
    whole = len(source.mistakes) == noted
    if whole:
        _check_scope(source, expectation)
    check_variables(source, node, expectation, names, free, whole=whole)
    return expectation


def _free(source: Source, node: Node) -> dict[str, Node]:
    """The variables that no step shall bind, each with its place."""
    found: dict[str, Node] = {}
    for item in source.list(node, "free"):
        with source.going_on():
            text = source.text(item, "free")
            found[read_variable(source, item, text if text.startswith("$") else f"${text}").name] = item
    return found


def _scope(source: Source, node: Node) -> tuple[Pattern, ...]:
    items = source.list(node, "scope") if isinstance(node, ListNode) else (node,)
    return source.each(items, lambda item: _scope_pattern(source, item))


def _scope_pattern(source: Source, item: Node) -> Pattern:
    if isinstance(item, MapNode) and len(item.entries) == 1 and next(iter(item.entries)) in KINDS:
        return _pattern(source, item)
    known = all_fields()
    entries = source.mapping(item, "scope", optional=known)
    if isinstance(item, MapNode) and not item.entries:
        source.fail(item, "scope is empty", hint="leave it out to have every event in scope")
    if not kinds_with(set(entries)):
        source.fail(item, f"no event has all of {', '.join(entries)}")
    return Pattern(None, _fields(source, entries, known), item.line)


def _check_scope(source: Source, expectation: Expectation) -> None:
    """A pattern for a kind that no scope admits could never match."""
    if not expectation.scope:
        return
    admitted: set[str] = set()
    for pattern in expectation.scope:
        admitted |= (
            kinds_with({name for name, _ in pattern.fields}) if pattern.kind is None else {pattern.kind}
        )
    for pattern in patterns_of(expectation):
        if pattern.kind not in admitted:
            source.note(
                pattern.line,
                f"no {pattern.kind} can be in this scope",
                hint=f"the scope admits {', '.join(kind for kind in KINDS if kind in admitted)}",
            )


def patterns_of(expectation: Expectation) -> list[Pattern]:
    """Every pattern of a block, the scope's aside."""
    found: list[Pattern] = list(expectation.never)

    def walk(item: Item) -> None:
        match item:
            case Pattern():
                found.append(item)
            case Never(patterns=patterns):
                found.extend(patterns)
            case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
                for inner in items:
                    walk(inner)
            case Next(of=of) | Optional(of=of) | Repeat(of=of):
                walk(of)

    if expectation.order is not None:
        walk(expectation.order)
    return found


def has_limit(expectation: Expectation) -> bool:
    """Is there a ``within`` in the order?"""

    def walk(item: Item) -> bool:
        match item:
            case Within():
                return True
            case Sequence(items=items) | AnyOrder(items=items) | OneOf(items=items):
                return any(map(walk, items))
            case Next(of=of) | Optional(of=of) | Repeat(of=of):
                return walk(of)
            case _:
                return False

    return expectation.order is not None and walk(expectation.order)


# --- the order ---


def _order(source: Source, node: Node) -> Sequence:
    noted = len(source.mistakes)
    items = _items(source, node, "order", nested=False, rounds=False)
    if len(source.mistakes) == noted and all(may_be_missing(item) for item in items):
        source.fail(node, "this order asks for nothing: every item of it may be missing")
    return Sequence(items, node.line)


def _items(source: Source, node: Node, what: str, *, nested: bool, rounds: bool) -> tuple[Item, ...]:
    """A list of items; a gap (next, never, within) needs its neighbours.

    :param nested: inside another item, where a list has no neighbours of its own.
    :param rounds: the body of a repeat, where a gap at the start stands between two rounds.
    """
    nodes = source.list(node, what)
    items = source.each(nodes, lambda item: _item(source, item), instead=_unread)
    nothing_before = not rounds
    before_may_be_missing = True
    ends = max(
        (place for place, item in enumerate(items) if not isinstance(item, Never | Within)), default=-1
    )
    for place, item in enumerate(items):
        last = place > ends
        unsure = "; what stands before it may be missing" if place and not nothing_before else ""
        no_neighbour = not rounds and before_may_be_missing
        match item:
            case Next() if no_neighbour:
                hint = _NEXT_HINT if nested and nothing_before else _MISSING_HINT if unsure else ""
                source.note(item.line, f"'next' has nothing before it{unsure}", hint=hint)
            case Within() if no_neighbour or last:
                hint = _MISSING_HINT if unsure and not last else ""
                source.note(
                    item.line, f"'within' must stand between two items{'' if last else unsure}", hint=hint
                )
            case Never() if nested and (no_neighbour or last):
                hint = _MISSING_HINT if unsure and not last else ""
                source.note(
                    item.line, f"'never' must stand between two items here{'' if last else unsure}", hint=hint
                )
            case Never() if nothing_before and last:
                source.note(item.line, "'never' has no neighbours", hint="put it beside 'order', not in it")
        if not isinstance(item, Never | Within):
            nothing_before = False
            before_may_be_missing = before_may_be_missing and may_be_missing(item)
    return items


def _unread(node: Node) -> Item:
    """Stands where an item could not be read, as one that must come: what is said of its neighbours is true
    of whatever was meant."""
    return Pattern(None, (), node.line)


_NEXT_HINT = "put 'next' around the any_order, one_of or optional"
_MISSING_HINT = "put both into one optional, as a list"


def _item(source: Source, node: Node) -> Item:
    if isinstance(node, ListNode):
        source.fail(node, "a list in a list", hint="its items belong one level up")
    if isinstance(node, ScalarNode) and node.value in KINDS:
        source.fail(node, f"'{node.value}' without a pattern", hint=f"write '{node.value}: any'")
    key, value = source.single(node, "item", (*KINDS, *ITEMS))
    assert isinstance(node, MapNode)
    line = node.key_lines[key]
    if key in KINDS:
        return _pattern(source, node)
    match key:
        case "next":
            inner = _branch(source, value, "next")
            if isinstance(inner, Next):
                source.fail(inner.line, "'next' in 'next'")
            return Next(inner, line)
        case "any_order":
            return AnyOrder(_branches(source, value, key), line)
        case "one_of":
            return OneOf(_branches(source, value, key), line)
        case "optional":
            return Optional(_branch(source, value, key), line)
        case "repeat":
            return _repeat(source, value, line)
        case "never":
            return Never(_patterns(source, value, "never"), line)
        case _:
            return Within(source.duration(value, "within"), line)


def _branches(source: Source, node: Node, what: str) -> tuple[Item, ...]:
    nodes = source.list(node, what)
    if not 2 <= len(nodes) <= MAX_BRANCHES:
        source.fail(node, f"{what} takes 2 to {MAX_BRANCHES} items, not {len(nodes)}")
    return source.each(nodes, lambda item: _branch(source, item, what), instead=_unread)


def _branch(source: Source, node: Node, what: str) -> Item:
    """One item, or a list of them in order."""
    if isinstance(node, ListNode):
        return Sequence(_items(source, node, what, nested=True, rounds=False), node.line)
    item = _item(source, node)
    if isinstance(item, Never | Within) or (isinstance(item, Next) and what != "next"):
        source.fail(item.line, f"'{type(item).__name__.lower()}' cannot stand alone in {what}")
    return item


def _repeat(source: Source, node: Node, line: int) -> Repeat:
    entries = source.mapping(node, "repeat", required=("of",), optional=("min", "max"))
    of: Item
    if isinstance(entries["of"], ListNode):
        of = Sequence(_items(source, entries["of"], "of", nested=True, rounds=True), entries["of"].line)
    else:
        of = Sequence((_item(source, entries["of"]),), entries["of"].line)
        if isinstance(of.items[0], Never | Within):
            source.fail(of.line, "a gap alone cannot be repeated")
    if all(may_be_missing(item) for item in of.items):
        source.fail(of.line, "what is repeated may be missing, so any number of rounds fits")
    minimum, maximum = 1, None
    if "min" in entries:
        minimum = source.integer(entries["min"], "min", minimum=0, maximum=MAX_ROUNDS)
    if "max" in entries:
        maximum = source.integer(entries["max"], "max", minimum=1, maximum=MAX_ROUNDS)
        if maximum < minimum:
            source.fail(entries["max"], f"max {maximum} is less than min {minimum}")
    return Repeat(of, minimum, maximum, line)


def may_be_missing(item: Item) -> bool:
    """May an order be kept without an event for this?"""
    match item:
        case Pattern():
            return False
        case Sequence(items=items) | AnyOrder(items=items):
            return all(may_be_missing(inner) for inner in items)
        case OneOf(items=items):
            return any(may_be_missing(inner) for inner in items)
        case Next(of=of):
            return may_be_missing(of)
        case Repeat(of=of, minimum=minimum):
            return minimum == 0 or may_be_missing(of)
        case _:
            return True


# --- patterns ---


def _patterns(source: Source, node: Node, what: str) -> tuple[Pattern, ...]:
    nodes = source.list(node, what) if isinstance(node, ListNode) else (node,)
    return source.each(nodes, lambda item: _pattern(source, item))


def read_requires(source: Source, node: Node) -> tuple[Pattern, ...]:
    """What a recording must hold, or nothing is judged: patterns that name no variable."""
    return read_constant_patterns(source, node, "requires")


def read_constant_patterns(source: Source, node: Node, what: str) -> tuple[Pattern, ...]:
    """Patterns, one or a list, that name no variable."""
    patterns = _patterns(source, node, what)
    for pattern in patterns:
        inner = (value.of if isinstance(value, Not) else value for _, value in pattern.fields)
        if any(isinstance(value, Variable) for value in inner):
            source.note(pattern.line, f"a variable in {what}", hint="nothing binds it there: write a value")
    return patterns


def _pattern(source: Source, node: Node) -> Pattern:
    kind, value = source.single(node, "event", KINDS)
    assert isinstance(node, MapNode)
    line = node.key_lines[kind]
    if isinstance(value, ScalarNode) and value.value == "any":
        return Pattern(kind, (), line)
    if not isinstance(value, MapNode) or not value.entries:
        source.fail(
            line,
            f"{kind} must say what to look for, not {describe(value)}",
            hint=f"write '{kind}: any' for any {kind}",
        )
    entries = source.mapping(value, kind, optional=FIELDS[kind])
    return Pattern(kind, _fields(source, entries, FIELDS[kind]), line)


def _fields(
    source: Source, entries: Mapping[str, Node], known: Mapping[str, type]
) -> tuple[tuple[str, Constraint], ...]:
    return source.each(
        entries.items(), lambda entry: (entry[0], _constraint(source, entry[1], entry[0], known[entry[0]]))
    )


def _constraint(source: Source, node: Node, name: str, wanted: type) -> Constraint:
    if isinstance(node, MapNode):
        source.mapping(node, name, required=("not",))
        inner = _constraint(source, node.entries["not"], name, wanted)
        if isinstance(inner, Not | AnyValue):
            source.fail(node, f"{name}: 'not' needs a value, a variable or a list of values")
        return Not(inner)
    if isinstance(node, ListNode):
        return OneOfValues(
            source.each(source.list(node, name), lambda item: _literal(source, item, name, wanted))
        )
    if node.value == "any":
        return AnyValue()
    if isinstance(node.value, str) and node.value.startswith("$"):
        return read_variable(source, node, node.value)
    return _literal(source, node, name, wanted)


def _literal(source: Source, node: Node, name: str, wanted: type) -> Literal:
    if not isinstance(node, ScalarNode):
        source.fail(node, f"{name}: {describe(node)} where a value is expected")
    value = node.value
    if isinstance(value, str) and value.startswith("$"):
        source.fail(node, f"{name}: a variable in a list", hint="use one_of around whole patterns")
    if value is None:
        return None
    if wanted is bool:
        return source.boolean(node, name)
    if wanted is int:
        return source.integer(node, name, minimum=0, maximum=MAX_NUMBER)
    return source.text(node, name)
