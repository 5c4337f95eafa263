"""Which fields an event kind has, as scenarios name them, and what each can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from harness.events import KINDS

__all__ = ["FIELDS", "all_fields", "kinds_with"]

_NOT_FOR_PATTERNS = {"index", "line", "host_time", "totals", "parameters", "witness", "call"}
_TEXTS = {"image", "function", "routine", "action", "phase", "text", "module", "rule", "message"}


def _fields_of(kind: str) -> dict[str, type]:
    names = [name for name in KINDS[kind].__struct_fields__ if name not in _NOT_FOR_PATTERNS]
    if kind == "print":
        names.append("text")
    fields: dict[str, type] = {name: str if name in _TEXTS else int for name in names}
    if kind == "driver":
        fields["totals"] = bool
    if kind == "stop":
        fields["first_chance"] = bool
    return fields


FIELDS: dict[str, dict[str, type]] = {kind: _fields_of(kind) for kind in KINDS}
"""Kind → field → ``int`` (a number), ``str`` (compared as a glob, letter case aside) or ``bool``."""


@cache
def all_fields() -> Mapping[str, type]:
    """Every field of any kind."""
    return MappingProxyType({name: kind for fields in FIELDS.values() for name, kind in fields.items()})


def kinds_with(names: set[str]) -> set[str]:
    """The kinds that have all of these fields."""
    return {kind for kind, fields in FIELDS.items() if names <= fields.keys()}
