"""The console: where there are colours, and where something may be drawn over."""

from __future__ import annotations

import os
import sys
from functools import partial

from rich.console import Console

__all__ = ["is_live", "make_console"]


def make_console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error.

    It has colours on a terminal. ``FORCE_COLOR``, not empty, asks for them elsewhere too; ``NO_COLOR``, not
    empty, wins over everything (https://no-color.org, https://force-color.org).
    """
    stream = sys.stderr if stderr else sys.stdout
    # The colours of a console of old Windows are calls; in a pipe or a file they are characters there, too.
    legacy = None if stream is not None and stream.isatty() else False
    make = partial(Console, stderr=stderr, highlight=False, markup=False, emoji=False, legacy_windows=legacy)
    if os.environ.get("NO_COLOR"):
        return make(color_system=None)
    console = make()
    if os.environ.get("FORCE_COLOR") and console.color_system is None:
        return make(force_terminal=True, color_system="standard")
    return console


def is_live(console: Console) -> bool:
    """Whether lines may be drawn over: a terminal that moves its cursor, whatever the colours are."""
    return console.file.isatty() and not console.is_dumb_terminal
