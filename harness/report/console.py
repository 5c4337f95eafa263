"""The console: where there are colours, and where something may be drawn over."""

from __future__ import annotations

import os

from rich.console import Console

__all__ = ["is_live", "make_console"]


def make_console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error.

    It has colours on a terminal. ``FORCE_COLOR``, not empty, asks for them elsewhere too; ``NO_COLOR``, not
    empty, wins over everything (https://no-color.org, https://force-color.org).
    """
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if os.environ.get("NO_COLOR"):
        return Console(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=None)
    if os.environ.get("FORCE_COLOR") and console.color_system is None:
        return Console(
            stderr=stderr,
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=True,
            legacy_windows=False,  # it is no console of Windows, whose colours are calls
            color_system="standard",
        )
    return console


def is_live(console: Console) -> bool:
    """Whether lines may be drawn over: a terminal that moves its cursor, whatever the colours are."""
    return console.file.isatty() and not console.is_dumb_terminal
