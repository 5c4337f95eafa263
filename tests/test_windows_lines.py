"""The README's lines for Windows, each given to ``cmd`` as it stands there.

PowerShell is not in Wine. For it a rule is held: it changes nothing of what stands between double quotes,
unless one of the characters that it looks for is there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
LINES = [line.strip() for line in README.splitlines() if line.startswith(("    py ", "    .venv\\"))]
_QUOTED = re.compile(r"(?:^ {4}|`|\$ )procnotify ([^`\n]*\"[^`\n]*)", re.MULTILINE)
QUOTED = sorted({found for page in PAGES for found in _QUOTED.findall(page.read_text(encoding="utf-8"))})
"""What stands behind ``procnotify`` in the commands that have quotes."""

windows = pytest.mark.skipif(sys.platform != "win32", reason="cmd is Windows'")


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of ``line`` at cmd's prompt in ``folder``."""
    # With /s cmd takes off the outer quotes, and reads the rest as it was typed; without it, only perhaps.
    return subprocess.run(
        f'cmd /d /s /c "{line}"',
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a scenario and a ``.venv`` as venv makes it. Its python.exe is the whole program;
    the launcher that venv puts there comes with python.org's installer alone."""
    folder = tmp_path / "my checkout"
    (folder / "scenarios").mkdir(parents=True)
    shutil.copy(ROOT / "scenarios" / "create-thread.yaml", folder / "scenarios")
    base, scripts = Path(sys.base_prefix), folder / ".venv" / "Scripts"
    scripts.mkdir(parents=True)
    for file in (base / "python.exe", *base.glob("*.dll")):
        shutil.copy(file, scripts)
    (folder / ".venv" / "pyvenv.cfg").write_text(f"home = {base}\n", encoding="utf-8")
    return folder


@windows
def test_the_scenarios_run_where_no_script_is_on_the_path(checkout: Path) -> None:
    (line,) = [line for line in LINES if " harness " in line]
    done = typed(line, checkout)
    assert done.returncode == 0, done.stderr
    assert "1 passed" in done.stdout
    assert (checkout / "traces" / "latest").exists()


@windows
@pytest.mark.parametrize("arguments", QUOTED)
def test_what_stands_in_quotes_comes_through_cmd(arguments: str, checkout: Path) -> None:
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = typed(f'.venv\\Scripts\\python -c "{program}" {arguments}', checkout)
    # A POSIX shell takes the backslashes of a pipe's name for its own, which cmd does not.
    assert json.loads(done.stdout) == shlex.split(arguments.replace("\\", "\\\\")), done.stderr


@pytest.mark.parametrize("arguments", QUOTED)
def test_what_stands_in_quotes_comes_through_powershell(arguments: str) -> None:
    assert re.findall(r'"[^"]*[$`\u201c-\u201e][^"]*"', arguments) == []
    outside = re.sub(r'"[^"]*"', "", arguments)
    assert re.fullmatch(r"[\w .:=/\\-]*", outside), "a comma, for one, parts arguments there"


@pytest.mark.skipif(
    shutil.which("py") is None,
    reason="python.org's installer brings py, pip and venv's launcher; they are not here",
)
@windows
def test_the_lines_install_from_nothing(tmp_path: Path) -> None:
    """Not seen to run yet: Wine has no py."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "tests", "traces", "build"))
    for line in LINES[:3]:
        done = typed(line, folder)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert "11 passed" in done.stdout
