"""``procnotify wine setup``: the real prefix, the real pykd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from harness.cli.wine import command


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


def test_remove_deletes_nothing_but_the_prefix(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = CliRunner().invoke(command, ["remove"])
    assert result.exit_code == 0
    assert "there is no prefix in" in result.output
