"""The seeds that a call goes through."""

from __future__ import annotations

import re

import click

from harness.errors import UsageError

__all__ = ["first_and_number", "seed_range"]


def seed_range(ctx: click.Context, param: click.Parameter, value: str | None) -> range | None:
    """``1-10000``, both included."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", value.strip(), re.ASCII)
    if found is None or int(found[1]) > int(found[2]):
        raise click.BadParameter(f"{value!r} is no range of seeds; write 1-10000")
    return range(int(found[1]), int(found[2]) + 1)


def first_and_number(seed: int | None, repeat: int | None, seeds: range | None) -> tuple[int | None, int]:
    """The first seed, and how many there are."""
    if seeds is None:
        return seed, repeat or 1
    if seed is not None or repeat is not None:
        raise UsageError(
            "--seeds says already what --seed and --repeat do", hint="give the one or the others"
        )
    return seeds.start, len(seeds)
