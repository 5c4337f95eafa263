"""The keys of the files that a user writes, from their JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.schemas import SCHEMAS
from tools.reference.markdown import escaped, table

__all__ = ["draw_keys"]

Schema = Mapping[str, Any]
_NUMBERS = {"integer": "a whole number", "number": "a number"}


def _value(schema: Schema) -> str:
    """What stands behind a key, in words."""
    match schema:
        case {"$ref": ref}:
            return f"[{_titled(ref)}](#{_titled(ref).replace(' ', '-')})"
        case {"const": value}:
            return f"`{str(value).lower() if isinstance(value, bool) else value}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": choices} | {"oneOf": choices}:
            return " or ".join(dict.fromkeys(_value(choice) for choice in choices))
        case {"type": "array"}:
            return f"a list{_bounds(schema, 'minItems', 'maxItems')}: {_value(schema.get('items', {}))}"
        case {"type": "object", "properties": dict(keys)}:
            named = ", ".join(f"`{key}`" for key in keys)
            return f"a mapping of {named}" if _is_flat(schema) else "a mapping"
        case {"type": "object"}:
            return f"a mapping: {_value(schema.get('additionalProperties') or {})}"
        case {"type": "string", "pattern": _}:
            return "text of a form"
        case {"type": "string"}:
            return "text"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": str(kind)} if kind in _NUMBERS:
            return _NUMBERS[kind] + _bounds(schema, "minimum", "maximum")
        case {"type": list(kinds)}:
            return " or ".join(dict.fromkeys(_value({**schema, "type": kind}) for kind in kinds))
        case {"type": "null"}:
            return "nothing"
    return "any value"


def _is_flat(schema: Schema) -> bool:
    """Whether the keys of a mapping need no rows of their own."""
    return all("$ref" in value for value in schema.get("properties", {}).values())


def _bounds(schema: Schema, low: str, high: str) -> str:
    bounds = [f"{word} {schema[key]}" for word, key in (("from", low), ("to", high)) if key in schema]
    return " ".join(["", *bounds])


def _titled(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ")


def _rows(schema: Schema, above: str = "") -> Iterator[list[str]]:
    required = schema.get("required", ())
    for key, value in schema.get("properties", {}).items():
        name = f"`{above}{key}`" + (", required" if key in required else "")
        about = str(value.get("description", ""))
        yield [name, _value(value), escaped(about)]
        for inner in [*_forms(value), value.get("items", {})]:
            if not _is_flat(inner):
                yield from _rows(inner, f"{above}{key}.")


def _forms(schema: Schema) -> list[Schema]:
    """The schema and those of which a value may fit any."""
    return [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _keys(schema: Schema) -> Iterator[str]:
    rows = {tuple(row): None for form in _forms(schema) for row in _rows(form)}
    if rows:
        yield table(["key", "value", "is"], list(rows))


def draw_keys(kind: str) -> str:
    """Every key of a kind of file: what stands behind it, and what it is."""
    schema = SCHEMAS[kind]()
    parts = [] if "allOf" in schema else [*_keys(schema)]
    for case in schema.get("allOf", ()):
        (named,) = case["if"]["properties"].items()
        parts += [f"## {named[0]}: {named[1]['const']}", *_keys(case["then"])]
    for name, part in schema.get("$defs", {}).items():
        parts.append(f"## {_titled(name)}")
        if "properties" not in part:
            parts.append(f"Is {_value(part)}.")
        parts += _keys(part)
    return "\n\n".join(parts)
