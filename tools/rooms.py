"""The rooms of ``harness/`` and the order in which they may import one another.

A room is a module or a package. It may import itself and any room in a row below its own; never sideways,
never upward. ``tests/test_rooms.py`` holds the code to this table and ``tools/diagrams.py`` draws it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PURE", "ROOMS", "imports_of", "level_of", "room_of"]

PACKAGE = Path(__file__).resolve().parent.parent / "harness"

ROOMS: tuple[tuple[str, ...], ...] = (
    ("bugcheckcodes", "controlcodes"),
    ("errors", "events", "actions", "waiting", "printmasks"),
    (
        "outcome",
        "standingrules",
        "numbers",
        "callbacks",
        "callplaces",
        "resources",
        "internal",
        "ntpaths",
        "files",
        "locks",
        "processes",
        "dbghelp",
    ),
    ("lines", "kd", "toolchain", "channel", "symbols", "yamlfile", "signing", "projectfile"),
    ("grammars", "breakpoints"),
    ("connection", "trace", "scenario", "learning", "mining"),
    ("ports",),
    ("order", "virtual", "witness"),
    ("wine",),
    ("guests", "debuggers"),
    ("machines", "preparation", "verdict"),
    ("runs", "recorder", "schemas"),
    ("exploration",),
    ("report", "recording", "recipes", "linting"),
    ("pytest_plugin", "api", "timetravel", "mcpserver"),
    ("cli",),
    ("__main__",),
)
"""From the foundation up, one tuple a row."""

PURE = (
    *(
        "kd",
        "order",
        "lines",
        "learning",
        "breakpoints",
        "events",
        "actions",
        "callbacks",
        "controlcodes",
        "ntpaths",
        "numbers",
    ),
    *("printmasks", "witness", "mining"),
)
"""Rooms without I/O, clock or chance."""


def level_of(room: str) -> int:
    """The row of ``room`` in :data:`ROOMS`; KeyError for a room that is not in the table."""
    for level, row in enumerate(ROOMS):
        if room in row:
            return level
    raise KeyError(room)


def room_of(path: Path) -> str:
    """The room a source file of ``harness/`` belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every ``(dotted module, line)`` that a source file imports at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno
