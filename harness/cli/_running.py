"""What the options of the commands that run scenarios have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from harness.cli._logging import Command

__all__ = ["MAX_AT_A_TIME", "cluster_option", "seed_option", "trace_dir_option"]

MAX_AT_A_TIME: Final = 256
"""Processes, or machines, at most."""


def seed_option(help_text: str, *, metavar: str = "N") -> Callable[[Command], Command]:
    """``--seed``: the command is called with ``seed``, a number or None.

    :param help_text: which seed it is, and which it is without.
    """
    return click.option("--seed", type=click.IntRange(min=0), metavar=metavar, help=help_text)


def cluster_option(where: str = "") -> Callable[[Command], Command]:
    """``--cluster``: the command is called with ``cluster``, an address or None.

    :param where: behind a comma, where each run is done.
    """
    return click.option(
        "--cluster",
        metavar="ADDRESS",
        help=f"Have the workers of a Dask cluster do the runs{where} (docs/cluster.md): the address of its"
        " scheduler, tcp://HOST:8786.",
    )


def trace_dir_option(help_text: str) -> Callable[[Command], Command]:
    """``--trace-dir``: the command is called with ``trace_dir``, a path.

    :param help_text: what is made there.
    """
    return click.option(
        "--trace-dir",
        type=click.Path(path_type=Path),
        default=Path("traces"),
        show_default=True,
        metavar="DIR",
        help=help_text,
    )
