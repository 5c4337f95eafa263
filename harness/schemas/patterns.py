"""The JSON Schema of patterns: what an event is to be like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.scenario.expect import MAX_NUMBER
from harness.scenario.fields import FIELDS
from harness.scenario.steps import VARIABLE
from harness.schemas.values import (
    BOOLEAN,
    TEXT,
    JsonSchema,
    any_of,
    integer,
    items,
    matching,
    ref,
    section,
    single_key,
)

__all__ = ["CONSTRAINTS", "constraint", "event_pattern", "one_or_several"]

_LITERALS: Final[dict[type, JsonSchema]] = {int: integer(0, MAX_NUMBER), str: TEXT, bool: BOOLEAN}
"""What a field is compared with, by what it holds."""
_NAMES: Final[dict[type, str]] = {int: "number_field", str: "text_field", bool: "boolean_field"}


def _of_field(wanted: type) -> JsonSchema:
    literal = any_of(_LITERALS[wanted], {"type": "null"})
    value = [literal, items(literal), matching(VARIABLE)]
    return any_of(*value, {"const": "any"}, section({"not": any_of(*value)}, required=("not",)))


CONSTRAINTS: Final[dict[str, JsonSchema]] = {name: _of_field(wanted) for wanted, name in _NAMES.items()}
"""Name under ``$defs`` → what a field of that kind can be compared with."""


def constraint(wanted: type) -> JsonSchema:
    """What a field can be compared with that holds this."""
    return ref(_NAMES[wanted])


def event_pattern(kinds: Iterable[str]) -> JsonSchema:
    """``{KIND: any}``, or its fields."""
    return single_key(
        {
            kind: any_of(
                {"const": "any"},
                section({name: constraint(wanted) for name, wanted in FIELDS[kind].items()}, least=1),
            )
            for kind in kinds
        }
    )


def one_or_several(schema: JsonSchema) -> JsonSchema:
    """One, or a list of them."""
    return any_of(schema, items(schema))
