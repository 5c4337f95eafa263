"""Paths that Windows has apart: over 260 characters, and on another machine.

Wine has no limit of 260 characters. What Windows says where long paths are not enabled is shown for the words
alone (tests/test_files.py); here it may say so, too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest
from this_system import under_wine

from harness.trace import TraceReader

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="the paths are Windows'")


def procnotify(*words: str | Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}
    if cache is not None:
        environment["PROCNOTIFY_CACHE"] = str(cache)
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, words)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )


def check_whole_job(folder: Path) -> None:
    """Scenario, traces and cache of builds lie there; the driver is compiled there, too."""
    shutil.copy(ROOT / "scenarios" / "create-thread.yaml", folder)
    done = procnotify(
        "run", folder / "create-thread.yaml", "--trace-dir", folder / "traces", cache=folder / "cache"
    )
    assert done.returncode == 0, done.stderr
    assert "1 passed" in done.stdout and "linking procnotify.sys" in done.stderr
    (trace,) = (folder / "traces").glob("2*/*.jsonl")
    assert procnotify("check", trace, folder / "create-thread.yaml").returncode == 0
    assert TraceReader(trace).footer is not None


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder of this machine by the name that it has on others: ``\\\\MACHINE\\SHARE\\...``."""
    if under_wine():
        # Wine looks for the shares of a machine among the prefix's devices.
        prefix = PureWindowsPath(f"Z:{os.environ['WINEPREFIX']}")
        machine = Path(prefix / "dosdevices" / "unc" / f"procnotify-{secrets.token_hex(4)}")
        (machine / "share").mkdir(parents=True)
        yield Path(rf"\\{machine.name}\share")
        shutil.rmtree(machine)
        return
    share = Path(rf"\\localhost\{tmp_path.drive[0]}$")
    if not share.is_dir():
        pytest.skip("the administrative shares of this machine cannot be reached")
    yield share.joinpath(*tmp_path.parts[1:])


def test_a_path_of_more_than_260_characters(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 280:
        folder = folder / ("n" * 40)
    try:
        folder.mkdir(parents=True)
    except OSError:
        out = folder / "d.sys"
        refused = procnotify("driver", "build", "--out", out)
        assert refused.returncode == 2 and "LongPathsEnabled" in refused.stderr
        return
    check_whole_job(folder)


def test_a_path_on_another_machine(elsewhere: Path) -> None:
    assert str(elsewhere).startswith("\\\\")
    check_whole_job(elsewhere)
