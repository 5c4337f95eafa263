"""``procnotify explore``: what is refused before anything runs."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from harness.cli.explore import command
from harness.projectfile import MAX_SEEDS


@pytest.mark.parametrize("number", [0, -1, MAX_SEEDS + 1, 10**4000, "1e3"])
def test_a_number_of_seeds_beyond_what_anybody_means_is_refused(number: int | str) -> None:
    done = CliRunner().invoke(command, ["no-such.yaml", "--seeds", str(number)])
    assert done.exit_code == 2
    assert "Invalid value for '--seeds'" in done.output


def test_the_most_seeds_are_taken() -> None:
    ctx = command.make_context("explore", ["no-such.yaml", "--seeds", str(MAX_SEEDS)])
    assert ctx.params["seeds"] == MAX_SEEDS
    assert f"at most {MAX_SEEDS:,}" in " ".join(command.get_help(click.Context(command)).split())
