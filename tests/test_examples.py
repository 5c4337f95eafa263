"""The projects under ``examples/``: what their README says works as pasted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent


def pasted(folder: Path, line: str) -> str:
    """What a line of the README prints, by the programs of this environment."""
    program, _, rest = line.partition(" ")
    module = {"procnotify": "harness", "pytest": "pytest"}[program]
    done = subprocess.run(
        [sys.executable, "-m", module, *rest.split()], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_watcher_keeps_its_promises_in_two_processes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "watcher", tmp_path, dirs_exist_ok=True)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    documented = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```python\n(.*?)```", documented, re.DOTALL)
    (tmp_path / "tests" / "test_shown.py").write_text(shown, encoding="utf-8", newline="\n")
    build, alone, together = re.findall(r"^ {4}((?:procnotify|pytest) .*)$", page, re.MULTILINE)
    pasted(tmp_path, build)
    assert together.startswith(alone), "the second is the first in two processes, with a report"
    assert "10 passed, 1 skipped" in pasted(tmp_path, together)
    report = ElementTree.parse(tmp_path / "build" / "junit.xml")
    assert len(list(report.iter("testcase"))) == 11
    (skipped,) = report.iter("skipped")
    text = (tmp_path / "scenarios" / "first-thread.yaml").read_text(encoding="utf-8").splitlines()
    assert skipped.text is not None
    assert skipped.text.startswith(f"scenarios/first-thread.yaml:{text.index('expect:') + 2}: not judged: ")
    # Each process has a trace folder of its own, so that none writes over another's.
    assert len(list((tmp_path / "build" / "traces").glob("2*"))) == 2
