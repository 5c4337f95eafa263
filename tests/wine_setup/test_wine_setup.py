"""``procnotify wine setup``: the real prefix, the real pykd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from click.testing import CliRunner

from harness.cli.wine import command
from harness.debuggers.interpreters import Host, probe
from harness.debuggers.pykdsetup import import_pykd
from harness.wine.command import Finished, run_command
from harness.wine.prefix import WinePrefix


def procnotify(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)


def test_setup_ends_with_pykd_imported_and_repeating_it_only_checks(wine: str) -> None:
    first = procnotify("wine", "setup")
    assert first.returncode == 0, first.stderr
    assert "pykd 0.3.4.15 is ready on Python 3.9" in first.stdout
    again = procnotify("wine", "setup")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]


def test_what_is_asked_of_an_interpreter_on_windows_works_in_a_real_one(wine: str) -> None:
    assert procnotify("wine", "setup").returncode == 0
    prefix = WinePrefix()

    def run(command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Finished:
        # Under Wine, Python wants pipes.
        return run_command(command, timeout=timeout, environment=environment, cwd=prefix.python)

    host = Host(environment=prefix.environment(os.environ), run=run, probe_seconds=120)
    found = probe(prefix.python_command(), host, origin="the prefix")
    assert (found.version[:2], found.bits, found.has_pykd) == ((3, 9), 64, True)
    assert found.executable == "C:\\procnotify\\python.exe"
    assert import_pykd(found, host).pykd == "0.3.4.15"


def test_remove_deletes_nothing_but_the_prefix(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, ["remove"])
    assert result.exit_code == 0
    assert "there is no prefix in" in result.output
