"""The JSON Schema of what commands print with ``--json``: ``docs/json.md`` in a form that programs read.

A later version may add keys, so a reader has to let keys pass that it does not know, and the schema does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.schemas.documents.commands import DOCUMENTS
from harness.schemas.documents.explanations import EXPLANATION
from harness.schemas.documents.parts import EXIT_CODE, SHARED, object_with
from harness.schemas.values import JsonSchema, any_of, ref

__all__ = ["DOCUMENTS", "FORMAT", "definition", "documents_schema"]

FORMAT: Final = 1
"""Version of the shapes that this schema is of."""


def definition(command: str) -> str:
    """The name under ``$defs`` for the document of a command."""
    return f"document of {command}".replace(" ", "_")


def documents_schema() -> JsonSchema:
    """A document of any command."""
    return {
        "title": "What a procnotify command prints with --json",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "command": {"enum": list(DOCUMENTS)},
            "exit_code": EXIT_CODE,
            "error": {"type": "string", "description": "Why it could not do its work; keys may be missing."},
        },
        "required": ["format", "command", "exit_code"],
        "allOf": [
            {"if": {"properties": {"command": {"const": command}}}, "then": ref(definition(command))}
            for command in DOCUMENTS
        ],
        "$defs": {
            **SHARED,
            "explanation": EXPLANATION,
            **{definition(name): _document(shapes) for name, shapes in DOCUMENTS.items()},
        },
    }


def _document(shapes: Iterable[Mapping[str, JsonSchema]]) -> JsonSchema:
    whole = [object_with(shape) for shape in shapes]
    return any_of({"required": ["error"]}, *whole)
