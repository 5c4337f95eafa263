"""The JSON Schemas of values that several kinds of files have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from harness.yamlfile.nodes import DURATION

__all__ = [
    "BOOLEAN",
    "DURATION_TEXT",
    "TEXT",
    "JsonSchema",
    "any_of",
    "described",
    "integer",
    "items",
    "matching",
    "ref",
    "section",
    "single_key",
]

JsonSchema: TypeAlias = dict[str, Any]

TEXT: Final[JsonSchema] = {"type": "string", "minLength": 1}
BOOLEAN: Final[JsonSchema] = {"type": "boolean"}


def matching(pattern: re.Pattern[str]) -> JsonSchema:
    """A text that fits ``pattern`` from its beginning to its end."""
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}


DURATION_TEXT: Final = {**matching(DURATION), "description": "A number and its unit: 50us, 300ms, 2s, 1m."}


def described(schemas: Mapping[str, JsonSchema], about: Mapping[str, str]) -> dict[str, JsonSchema]:
    """The same schemas; each key that ``about`` has words for with them as its description.

    :raises KeyError: it has words for a key that there is not.
    """
    return {**schemas, **{key: {**schemas[key], "description": words} for key, words in about.items()}}


def integer(minimum: int, maximum: int) -> JsonSchema:
    """A whole number, both ends included."""
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def items(schema: JsonSchema, *, most: int | None = None, least: int = 1) -> JsonSchema:
    """A list of such items."""
    found = {"type": "array", "items": schema, "minItems": least}
    return found if most is None else {**found, "maxItems": most}


def any_of(*schemas: JsonSchema) -> JsonSchema:
    """A value that fits one of them at least."""
    return {"anyOf": list(schemas)}


def section(
    properties: Mapping[str, JsonSchema], *, required: Iterable[str] = (), least: int = 0
) -> JsonSchema:
    """A mapping with no keys but these.

    :param least: how many it has at least.
    """
    found: JsonSchema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required := list(required):
        found["required"] = required
    return {**found, "minProperties": least} if least else found


def single_key(properties: Mapping[str, JsonSchema]) -> JsonSchema:
    """A mapping with one of these keys."""
    return {**section(properties, least=1), "maxProperties": 1}


def ref(name: str) -> JsonSchema:
    """What stands under ``$defs``."""
    return {"$ref": f"#/$defs/{name}"}
