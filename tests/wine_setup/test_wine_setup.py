"""``procnotify wine setup``: the real prefix, the real pykd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from wine_setup_alone import wine_setup

from harness.cli.wine import command
from harness.debuggers.pykd.interpreters import Host, probe
from harness.debuggers.pykd.setup import import_pykd
from harness.wine.command import Finished, run_command
from harness.wine.pieces import DEBS
from harness.wine.prefix import WinePrefix


def procnotify(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)


def test_setup_ends_with_pykd_imported_and_repeating_it_only_checks(wine: str) -> None:
    first = wine_setup()
    assert first.returncode == 0, first.stderr
    assert "pykd 0.3.4.15 is ready on Python 3.9" in first.stdout
    again = wine_setup()
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]


def test_what_is_asked_of_an_interpreter_on_windows_works_in_a_real_one(wine: str) -> None:
    assert wine_setup().returncode == 0
    prefix = WinePrefix()

    def run(command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Finished:
        # Under Wine, Python wants pipes.
        return run_command(command, timeout=timeout, environment=environment, cwd=prefix.python)

    host = Host(environment=prefix.environment(os.environ), run=run, probe_seconds=120)
    found = probe(prefix.python_command(), host, origin="the prefix")
    assert (found.version[:2], found.bits, found.has_pykd) == ((3, 9), 64, True)
    assert found.executable == "C:\\procnotify\\python.exe"
    assert import_pykd(found, host).pykd == "0.3.4.15"


def killed_at(step: str) -> list[str]:
    """The steps of a setup that is killed at ``step``; what it started is left to itself."""
    argv = [sys.executable, "-m", "harness", "wine", "setup"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        steps = []
        for line in process.stderr:
            steps.append(line.rstrip())
            if line.startswith(step):
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    return steps


def test_killed_in_each_stage_the_next_setup_goes_on(wine: str, tmp_path: Path, monkeypatch) -> None:
    if not {"all", "wine", "pykd"} & set(os.environ.get("PROCNOTIFY_REQUIRE", "").split(",")):
        pytest.skip("downloads 80 MB: set PROCNOTIFY_REQUIRE=wine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    prefix = WinePrefix()
    creating = "creating the Wine prefix"
    killed_at(creating)
    assert killed_at("downloading pykd")[0] == creating
    (package,) = prefix.downloads.glob(DEBS[0].pattern)
    os.truncate(package, package.stat().st_size - 1)
    again = killed_at("unpacking Python")
    assert creating not in again
    assert [DEBS[0].package in step for step in again].count(True) == 1
    assert not any(DEBS[1].package in step for step in again)
    killed_at("unpacking pykd")
    assert not prefix.complete

    last = wine_setup()
    assert last.returncode == 0, last.stderr
    assert last.stderr.splitlines()[-1] == "importing pykd in the prefix"
    assert "downloading" not in last.stderr
    assert prefix.complete
    assert not prefix.downloads.exists()
    assert not [path for path in prefix.python.iterdir() if path.name.startswith(".")]
    removed = procnotify("wine", "remove")
    assert removed.returncode == 0, removed.stderr
    assert sorted(path.name for path in prefix.root.iterdir()) == ["in-use", "lock"]


def test_remove_deletes_nothing_but_the_prefix(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, ["remove"])
    assert result.exit_code == 0
    assert "there is no prefix in" in result.output
