"""JSON Schemas (2020-12) of the files that a user writes, for editors; made from the readers' own tables.

A schema is about the values that a reader sees, and never refuses what the reader takes. What one part of a
file says of another (a variable that nothing binds, an order that asks for nothing) the reader alone knows.
The files beside this module are written by ``python -m tools.schemas``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from harness.schemas.documents import documents_schema
from harness.schemas.grammar import grammar_schema
from harness.schemas.machine import machine_schema
from harness.schemas.project import project_schema
from harness.schemas.scenario import scenario_schema

__all__ = ["PUBLISHED", "SCHEMAS", "schema_file", "schema_text"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: Final = {"scenario": scenario_schema, "lines": grammar_schema, "machine": machine_schema}
"""The first key of a kind of file → what makes its schema."""
PUBLISHED: Final = {**SCHEMAS, "project": project_schema, "documents": documents_schema}
"""The same with what is no YAML file: a project's file, and what commands print with ``--json``."""


def schema_file(kind: str) -> Path:
    """Where the schema of a kind of file is, in the installed package."""
    return Path(__file__).with_name(f"{kind}.schema.json")


def schema_text(kind: str) -> str:
    """The schema of a kind of file as it is to be in :func:`schema_file`."""
    return json.dumps({"$schema": _DIALECT, **PUBLISHED[kind]()}, indent=1) + "\n"
