"""``--log`` and ``-v``: the package is silent until it is asked, and silent again afterwards."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from this_system import DEV_FULL

from harness.cli import cli
from harness.cli._options import log_options

LOG = logging.getLogger("harness.somewhere")


@click.command()
@log_options
def talking() -> None:
    """A command with a link that has something to say."""
    LOG.info("attached")
    LOG.debug("dropped a datagram: \x1b[2J")
    click.echo("done")


def test_nothing_is_said_unless_asked() -> None:
    said = CliRunner().invoke(talking)
    assert (said.exit_code, said.output) == (0, "done\n")


def test_v_says_what_happens_and_vv_everything() -> None:
    assert CliRunner().invoke(talking, ["-v"]).stderr == "harness.somewhere: attached\n"
    everything = CliRunner().invoke(talking, ["-vv"]).stderr
    assert everything == "harness.somewhere: attached\nharness.somewhere: dropped a datagram: \\x1b[2J\n"
    assert CliRunner().invoke(talking).stderr == "", "the next command is silent again"


def test_the_file_has_everything_with_its_time(tmp_path: Path) -> None:
    assert CliRunner().invoke(talking, ["--log", str(tmp_path / "log")]).output == "done\n"
    first, second = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    time, level, words = first.split(maxsplit=2)
    assert (level, words) == ("INFO", "harness.somewhere: attached")
    assert len(time) == len("2026-01-01T00:00:00.000")
    assert second.endswith("DEBUG   harness.somewhere: dropped a datagram: \\x1b[2J")
    assert logging.getLogger("harness").handlers == [
        handler
        for handler in logging.getLogger("harness").handlers
        if isinstance(handler, logging.NullHandler)
    ]


def test_both_at_once_have_their_own_depth(tmp_path: Path) -> None:
    done = CliRunner().invoke(talking, ["-v", "--log", str(tmp_path / "log")])
    assert done.stderr == "harness.somewhere: attached\n"
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 2


def test_a_log_that_cannot_be_written_is_a_wrong_command_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(talking, ["--log", str(tmp_path / "no" / "log")])
    assert done.exit_code == 2
    assert "cannot write" in done.stderr and "No such file" in done.stderr


@DEV_FULL
def test_a_full_disk_ends_the_log_and_not_the_command() -> None:
    done = CliRunner().invoke(talking, ["--log", "/dev/full"])
    assert (done.exit_code, done.stdout) == (0, "done\n")
    assert done.stderr == "procnotify: cannot go on writing /dev/full: No space left on device\n"


@pytest.mark.parametrize("name", ["run", "record", "debug", "serve"])
def test_every_command_with_a_link_has_them(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert {"--log", "-v"} <= {option for parameter in command.params for option in parameter.opts}


def test_whoever_imports_the_package_hears_nothing() -> None:
    program = "import harness, logging; logging.getLogger('harness.x').warning('heard')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
