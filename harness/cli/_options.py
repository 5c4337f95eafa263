"""What several commands' options have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from harness.cli._logging import log_options
from harness.debuggers import DEBUGGERS

__all__ = ["debugger_option", "duration", "log_options", "wait_option"]

_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """``60s``, ``500ms``, ``5m``, ``1h``; a bare number is seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?", value.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{value!r} is no duration; write 60s, 500ms, 5m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


wait_option = click.option(
    "--wait",
    callback=duration,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for the target.",
)
debugger_option = click.option(
    "--debugger",
    default="native",
    show_default=True,
    metavar="NAME",
    help=f"Who listens: {', '.join(DEBUGGERS)}.",
)
