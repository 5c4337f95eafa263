"""Scenario files for the tests of the loader: a whole file around the few lines that matter."""

from __future__ import annotations

from textwrap import indent

__all__ = ["expecting", "expecting_rounds", "stepping", "topped"]


def topped(lines: str) -> str:
    """A file that is right, and these top-level lines from line 5 on."""
    return f"scenario: t\nsummary: t.\nexpect:\n  never: [process_exit: any]\n{lines}\n"


def stepping(lines: str) -> str:
    """A file with these steps, from line 4 on."""
    return f"scenario: t\nsummary: t.\nsteps:\n{indent(lines, '  ')}\nexpect:\n  never: [process_exit: any]\n"


def expecting(lines: str) -> str:
    """A file with this expectation, from line 6 on; its step binds ``$app``, ``$app.tid`` and ``$me``."""
    return (
        "scenario: t\nsummary: t.\nsteps:\n  - launch: {image: a.exe, as: app, by: me}\n"
        f"expect:\n{indent(lines, '  ')}\n"
    )


def expecting_rounds(lines: str) -> str:
    """A file with this expectation, from line 6 on; its steps bind ``$one`` in each of three rounds."""
    return (
        "scenario: t\nsummary: t.\nsteps:\n"
        "  - repeat: {times: 3, steps: [launch: {image: a.exe, as: one}]}\n"
        f"expect:\n{indent(lines, '  ')}\n"
    )
