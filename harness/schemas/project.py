"""The JSON Schema of a project's file, as ``procnotify.toml`` and below ``[tool.procnotify]``."""

from __future__ import annotations

from typing import Final

from harness.projectfile import KEYS, MAX_DRIVERS, SEEDS
from harness.schemas.values import TEXT, JsonSchema, any_of, items, matching, section

__all__ = ["project_schema"]

_VALUES: Final[dict[str, JsonSchema]] = {
    "driver": any_of(TEXT, items(TEXT, most=MAX_DRIVERS)),
    "seeds": matching(SEEDS),
}


def project_schema() -> JsonSchema:
    """The whole file."""
    values = {key: {**_VALUES.get(key, TEXT), "description": words} for key, words in KEYS.items()}
    return {"title": "The file of a procnotify project", **section(values)}
