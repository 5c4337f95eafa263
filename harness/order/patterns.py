"""Does one event fit one pattern? Patterns compiled once, matched many times.

A pattern is a kind and a test a field. Names that are already bound (by a step) are constants; a free
variable takes the event's value where it has none yet and must equal it where it has one.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.callbacks import CALLBACK_KINDS
from harness.events import KINDS, Event
from harness.scenario.fields import all_fields, kinds_with
from harness.scenario.model import AnyValue, Constraint, Literal, Not, OneOfValues, Pattern, Variable

__all__ = [
    "LAST_COMPONENT",
    "Bindings",
    "CompiledPattern",
    "Mismatch",
    "Value",
    "compile_pattern",
    "describe",
    "field_of",
    "folded",
    "kinds_of",
    "may_lack",
    "overlaps",
    "same",
    "show",
]

Value: TypeAlias = int | bool | str | None
Bindings: TypeAlias = Mapping[str, Value]
"""Variable → value. Never changed in place: a match that binds makes a new one."""

LAST_COMPONENT = "image/"
"""The key of an image's file name, which a path without a backslash is compared with."""

_Test: TypeAlias = Callable[[Any], bool]


@dataclass(frozen=True)
class Mismatch:
    """Why an event of the right kind did not fit."""

    field: str
    expected: str
    found: str


@dataclass(frozen=True, eq=False)
class CompiledPattern:
    """One pattern; compares by identity."""

    source: Pattern
    types: frozenset[type[Event]]
    tests: tuple[tuple[str, _Test, str], ...]
    """Field, test that needs no binding, and what was expected, for people."""
    variables: tuple[tuple[str, str], ...]
    """Field and the free variable that its value must be."""
    differs: tuple[tuple[str, str], ...]
    """Field and the free variable that its value must not be."""
    numbers: Mapping[str, frozenset[int]]
    """Field → the only numbers that pass its test, for the fields that are compared with numbers."""
    exact: tuple[tuple[str, Value], ...]
    """Key (see :mod:`harness.order.index`) → the only value that passes, where there is only one."""
    names: frozenset[str]
    """The free variables that it mentions."""

    def may_match(self, event: Event) -> bool:
        """True unless no value of the free variables could make it fit; the kind is not looked at."""
        for field, test, _ in self.tests:  # noqa: SIM110 - all() would start a generator for every event
            if not test(field_of(event, field)):
                return False
        return True

    def match(self, event: Event, bindings: Bindings) -> Bindings | None:
        """The bindings after the match (the same object when nothing was bound), or None."""
        if type(event) not in self.types or not self.may_match(event):
            return None
        bound = bindings
        for field, name in self.variables:
            value = field_of(event, field)
            if name in bound:
                if not same(bound[name], value):
                    return None
            elif value is None:
                return None
            else:
                bound = {**bound, name: value}
        for field, name in self.differs:
            if name in bound and same(bound[name], field_of(event, field)):
                return None
        return bound

    def mismatches(self, event: Event, bindings: Bindings) -> Iterator[Mismatch]:
        """Every field that keeps ``event``, of the right kind, from fitting."""
        for field, test, expected in self.tests:
            value = field_of(event, field)
            if not test(value):
                yield Mismatch(field, expected, show(field, value))
        for field, name in self.variables:
            value = field_of(event, field)
            if value is None or (name in bindings and not same(bindings[name], value)):
                yield Mismatch(field, f"${name} = {show(field, bindings.get(name))}", show(field, value))
        for field, name in self.differs:
            if name in bindings and same(bindings[name], field_of(event, field)):
                value = show(field, bindings[name])
                yield Mismatch(field, f"not ${name} = {value}", value)


def same(one: Value, other: Value) -> bool:
    """Equal; texts compare without letter case, as NT names do."""
    return folded(one) == folded(other)


def show(field: str, value: Value) -> str:
    """A value as people write it: bases, sizes and status codes in hexadecimal."""
    if value is None:
        return "(none)"
    if isinstance(value, int) and field in ("base", "size", "status", "code"):
        return f"0x{value:x}"
    return str(value)


def describe(pattern: CompiledPattern) -> str:
    """A pattern as people write it, with the values that are known."""
    fields = [f"{field}: {expected}" for field, _, expected in pattern.tests]
    fields += [f"{field}: ${name}" for field, name in pattern.variables]
    fields += [f"{field}: not ${name}" for field, name in pattern.differs]
    kind = pattern.source.kind or "any event"
    return f"{kind} {{{', '.join(fields)}}}" if fields else f"{kind}: any"


def field_of(event: Event, field: str) -> Value:
    """A field by its name in scenarios: ``text`` is a print's line, ``totals`` whether there are any."""
    if field == "text":
        return event.line
    value: Any = getattr(event, field, None)
    return value is not None if field == "totals" else value


def kinds_of(pattern: Pattern, spoken: frozenset[str]) -> frozenset[str]:
    """The kinds a pattern is about; one without a kind is about the callbacks and the kinds spoken of."""
    if pattern.kind is not None:
        return frozenset((pattern.kind,))
    return frozenset(kinds_with({name for name, _ in pattern.fields})) & (spoken | set(CALLBACK_KINDS))


def compile_pattern(
    pattern: Pattern, kinds: frozenset[str], constants: Bindings, *, promised: bool = False
) -> CompiledPattern:
    """Ready a pattern for matching.

    :param kinds: the kinds it is about, see :func:`kinds_of`.
    :param constants: what the steps bound.
    :param promised: an event that fits must come, so one of which a field is not known fits no ``not``.
    """
    tests: list[tuple[str, _Test, str]] = []
    variables: list[tuple[str, str]] = []
    differs: list[tuple[str, str]] = []
    numbers: dict[str, frozenset[int]] = {}
    exact: list[tuple[str, Value]] = []
    for field, constraint in pattern.fields:
        if promised and isinstance(constraint, Not) and field != "image":
            tests.append((field, lambda value: value is not None, "a value"))
        match constraint:
            case AnyValue():
                continue
            case Variable(name=name) if name not in constants:
                variables.append((field, name))
            case Not(of=Variable(name=name)) if name not in constants:
                differs.append((field, name))
            case _:
                tests.append(
                    (field, _test(field, constraint, constants), _words(field, constraint, constants))
                )
                accepted = _numbers(field, constraint, constants)
                if accepted is not None:
                    numbers[field] = accepted
                exact += _exact(field, constraint, constants)
    types = frozenset(KINDS[kind] for kind in kinds)
    names = frozenset(name for _, name in (*variables, *differs))
    return CompiledPattern(
        pattern, types, tuple(tests), tuple(variables), tuple(differs), numbers, tuple(exact), names
    )


def may_lack(constraint: Constraint) -> bool:
    """Is the constraint kept by an event just because it does not carry the field?"""
    match constraint:
        case AnyValue() | None | False:
            return True
        case OneOfValues(values=values):
            return any(value is None or value is False for value in values)
        case _:
            return False


def overlaps(pattern: Pattern, other: Pattern) -> bool:
    """May an event fit both? False only where the values that ``pattern`` lists are none of ``other``'s.

    :param other: a pattern without variables.
    """
    if pattern.kind is not None and pattern.kind != other.kind:
        return False
    listed = dict(pattern.fields)
    for field, constraint in other.fields:
        match listed.get(field, AnyValue()):
            case OneOfValues(values=values):
                pass
            case int() | str() | None as value:
                values = (value,)
            case _:
                continue
        if not any(isinstance(value, str) and _is_glob(value) for value in values) and not any(
            map(_test(field, constraint, {}), values)
        ):
            return False
    return True


def _exact(field: str, constraint: Constraint, constants: Bindings) -> Iterator[tuple[str, Value]]:
    """The one value that passes, where there is one, as an index keeps it."""
    match constraint:
        case Variable(name=name):
            yield field, folded(constants[name])
        case str() if field == "image" and "\\" not in constraint:
            if not _is_glob(constraint):
                yield LAST_COMPONENT, constraint.casefold()
        case str():
            if not _is_glob(constraint):
                yield field, constraint.casefold()
        case int() | None:
            yield field, constraint


def _is_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def folded(value: Value) -> Value:
    """A value for which :func:`same` is equality."""
    return value.casefold() if isinstance(value, str) else value


def _numbers(field: str, constraint: Constraint, constants: Bindings) -> frozenset[int] | None:
    """The numbers that pass, where the constraint lists them."""
    if all_fields().get(field) is not int:
        return None
    match constraint:
        case Variable(name=name):
            values: tuple[Value, ...] = (constants[name],)
        case OneOfValues(values=listed):
            values = listed
        case int():
            values = (constraint,)
        case _:
            return None
    found = frozenset(value for value in values if type(value) is int)
    return found if len(found) == len(set(values)) else None


def _test(field: str, constraint: Constraint, constants: Bindings) -> _Test:
    match constraint:
        case Variable(name=name):
            wanted = constants[name]
            return lambda value: same(wanted, value)
        case OneOfValues(values=values):
            tests = [_literal_test(field, value) for value in values]
            return lambda value: any(test(value) for test in tests)
        case Not(of=inner):
            test = _test(field, inner, constants)
            return lambda value: not test(value)
        case AnyValue():
            return lambda value: True
        case _:
            return _literal_test(field, constraint)


def _literal_test(field: str, wanted: Literal) -> _Test:
    if not isinstance(wanted, str):
        return lambda value: value == wanted
    pattern = wanted.casefold()
    bare = field == "image" and "\\" not in pattern
    if not _is_glob(pattern):
        if bare:
            return lambda value: value is not None and value.rpartition("\\")[2].casefold() == pattern
        return lambda value: value is not None and value.casefold() == pattern
    matches = re.compile(fnmatch.translate(pattern)).match

    def fits(text: str) -> bool:
        return text == pattern or matches(text) is not None  # a[1].dll is a name, too

    if bare:
        return lambda value: value is not None and fits(value.rpartition("\\")[2].casefold())
    return lambda value: value is not None and fits(value.casefold())


def _words(field: str, constraint: Constraint, constants: Bindings) -> str:
    match constraint:
        case Variable(name=name):
            return f"${name} = {show(field, constants[name])}"
        case OneOfValues(values=values):
            return " or ".join(show(field, value) for value in values)
        case Not(of=inner):
            return f"not {_words(field, inner, constants)}"
        case AnyValue():
            return "anything"
        case _:
            return show(field, constraint)
