"""Pin the project's dependencies to wheels for Windows, as pip chooses them today."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.wine.errors import DownloadError
from tools.windows_python import pieces

__all__ = ["lines_of", "lock"]

_HEAD = """\
# The dependencies of the project and its tests as wheels for 64-bit Windows and CPython {version}.
# Written by `python -m tools.windows_python lock`; what is wanted stands in pyproject.toml and tox.ini.
"""


def lock(root: Path) -> int:
    """Write ``requirements.txt`` anew; how many wheels it names.

    :raises DownloadError: pip found no wheel for one of them.
    """
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
                *("--only-binary=:all:", "--platform", "win_amd64", "--python-version", pieces.VERSION),
                *("--target", temporary, "--report", str(report), *pieces.wanted(root)),
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode != 0:
            raise DownloadError(
                f"pip found no set of wheels: {(done.stderr.split('ERROR: ') or [''])[-1].strip()}"
            )
        lines = lines_of(json.loads(report.read_text(encoding="utf-8")))
    pieces.REQUIREMENTS.write_text(
        _HEAD.format(version=pieces.VERSION) + "\n".join(lines) + "\n", encoding="utf-8", newline="\n"
    )
    return len(lines)


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """One line a wheel, in the format of pip's requirement files, out of pip's own report."""
    return sorted(
        f"{item['metadata']['name'].lower()}=={item['metadata']['version']} "
        f"--hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}"
        for item in report["install"]
    )
