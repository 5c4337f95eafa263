"""The JSON Schema of line grammar files, from the tables that their reader uses."""

from __future__ import annotations

from typing import Final

from harness.grammars.forms import EVENT, MAX_LINES, MAX_NUMBER, OPTIONS, REPORTED, fields_of
from harness.grammars.read import ENCODINGS, MAX_FORMS, NAME, OPTIONAL_KEYS, REQUIRED_KEYS, UNITS
from harness.lines.template import TEXT_FIELDS
from harness.schemas.values import (
    BOOLEAN,
    TEXT,
    JsonSchema,
    any_of,
    described,
    integer,
    items,
    matching,
    ref,
    section,
)

__all__ = ["grammar_schema"]

_CAPITAL: Final[JsonSchema] = {"type": "string", "pattern": "[A-Z]"}
"""An encoding may be written in any letter case, which an enumeration cannot say."""


_ABOUT: Final = {
    "lines": "Its name: small letters, digits and -.",
    "forms": "What the lines look like; of several that a line fits the first counts.",
    "summary": "What it is, for people.",
    "prefix": "What every line begins with.",
    "tail": "What every line may end with.",
    "parts": "How a line is split that is too long for one call.",
    "unit": "What a line is: what ends with a line end, or each call that prints.",
    "encoding": "The code page in which the driver prints; without it UTF-8.",
    "ignore": "Lines that report nothing.",
    "complete": "Whether the driver promises a line for each callback that it gets, and none without.",
}


def grammar_schema() -> JsonSchema:
    """Of a line grammar file."""
    top: dict[str, JsonSchema] = {
        "lines": matching(NAME),
        "forms": items(ref("form"), most=MAX_FORMS),
        "summary": TEXT,
        "prefix": TEXT,
        "tail": TEXT,
        "parts": TEXT,
        "unit": {"enum": list(UNITS)},
        "encoding": any_of({"enum": list(ENCODINGS)}, _CAPITAL),
        "ignore": items(any_of(TEXT, ref("regex")), most=MAX_FORMS),
        "complete": BOOLEAN,
    }
    return {
        "title": "procnotify line grammar",
        **section(
            described({key: top[key] for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS)}, _ABOUT),
            required=REQUIRED_KEYS,
        ),
        "$defs": {
            "form": _form(),
            "regex": section({"regex": TEXT, "hex": items(TEXT)}, required=("regex",)),
        },
    }


def _form() -> JsonSchema:
    names = {name for event in REPORTED.values() for name in fields_of(event)} - {"totals"}
    beside: dict[str, JsonSchema] = {
        "tail": TEXT,
        "constants": section(
            {name: TEXT if name in TEXT_FIELDS else integer(0, MAX_NUMBER) for name in sorted(names)}
        ),
        "then": items(any_of(TEXT, section({"optional": TEXT}, required=("optional",))), most=MAX_LINES),
    }
    kinds: dict[str, JsonSchema] = {EVENT: TEXT, **{kind: any_of(TEXT, ref("regex")) for kind in REPORTED}}
    return {
        **section({**kinds, **{key: beside[key] for key in OPTIONS}}),
        "oneOf": [{"required": [kind]} for kind in kinds],
    }
