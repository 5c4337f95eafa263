"""Holds documents to the published schema, more strictly than it is written: no key that it does not name."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from harness.schemas import schema_file
from harness.schemas.documents import definition

__all__ = ["mistakes_in", "schema"]


@cache
def schema() -> dict[str, Any]:
    """The schema as it is published."""
    found = json.loads(schema_file("documents").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    assert isinstance(found, dict)
    return found


@cache
def _open() -> Draft202012Validator:
    return Draft202012Validator(schema())


@cache
def _closed(command: str) -> Draft202012Validator:
    closed = copy.deepcopy(schema()["$defs"])
    for part in closed.values():
        _close(part)
    shapes = closed[definition(command)]["anyOf"]
    for shape in shapes:
        if "properties" in shape:
            shape["properties"] |= schema()["properties"]
    return Draft202012Validator({"$defs": closed, "anyOf": shapes})


def _close(part: object) -> None:
    if isinstance(part, dict):
        if "properties" in part:
            part.setdefault("additionalProperties", False)
        for inner in part.values():
            _close(inner)
    elif isinstance(part, list):
        for inner in part:
            _close(inner)


def mistakes_in(document: dict[str, Any]) -> list[str]:
    """Where a document is not as the schema says, and which keys it does not name."""
    found = [_told(error) for error in _open().iter_errors(document)]
    command = document.get("command")
    if not found and command in schema()["properties"]["command"]["enum"]:
        found = [_told(error) for error in _closed(command).iter_errors(document)]
    return found


def _told(error: Any) -> str:
    deepest = error
    while deepest.context:
        deepest = max(deepest.context, key=lambda each: len(each.path))
    return f"{deepest.json_path}: {deepest.message[:300]}"
