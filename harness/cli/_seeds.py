"""The seeds that a call goes through."""

from __future__ import annotations

import click
from click.core import ParameterSource

from harness.errors import UsageError
from harness.projectfile import MAX_SEEDS, range_of_seeds

__all__ = ["MAX_SEEDS", "explored_seeds", "first_and_number", "seed_range"]


def seed_range(ctx: click.Context, param: click.Parameter, value: str | None) -> range | None:
    """``1-10000``, both included. Those of the project's file give way to ``--seed`` and ``--repeat``."""
    if value is None or (_of_project(ctx, param) and (_given(ctx, "seed") or _given(ctx, "repeat"))):
        return None
    try:
        return range_of_seeds(value.strip())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not taken; {error}") from None


def explored_seeds(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """How many. The number of the project's file belongs to its first seed, and gives way to ``--seed``."""
    first_given = ctx.get_parameter_source("seed") is ParameterSource.COMMANDLINE
    return None if _of_project(ctx, param) and first_given else value


def _of_project(ctx: click.Context, param: click.Parameter) -> bool:
    return ctx.get_parameter_source(param.name or "") is ParameterSource.DEFAULT_MAP


def _given(ctx: click.Context, name: str) -> bool:
    """Whether an option that has no default was given. The command line is read before the other options."""
    return ctx.params.get(name) is not None


def first_and_number(seed: int | None, repeat: int | None, seeds: range | None) -> tuple[int | None, int]:
    """The first seed, and how many there are."""
    if seeds is None:
        return seed, repeat or 1
    if seed is not None or repeat is not None:
        raise UsageError(
            "--seeds says already what --seed and --repeat do", hint="give the one or the others"
        )
    return seeds.start, len(seeds)
