"""What the Windows Python is made of: an interpreter, its library, and the project's dependencies.

The project's own list of dependencies (``pyproject.toml``) and what its tests need beside them (``tox.ini``)
say what is installed; ``requirements.txt`` pins each of them, and what they need in turn, to one wheel for
Windows by its SHA-256. ``python -m tools.windows_python lock`` writes it anew.
"""

from __future__ import annotations

import configparser
import hashlib
import tomllib
from pathlib import Path
from typing import Final

from harness.wine.pieces import BOOKWORM, Deb, Wheel

__all__ = ["INTERPRETER", "LIBRARY", "REQUIREMENTS", "SOURCES", "VERSION", "fingerprint_of", "wanted"]

_HERE: Final = Path(__file__).resolve().parent
REQUIREMENTS: Final = _HERE / "requirements.txt"
SOURCES: Final = _HERE / "sources"

VERSION: Final = BOOKWORM.python
INTERPRETER: Final = Wheel(
    # Later ones carry 3.11.9, with which Debian's library, of 3.11.2, does not agree.
    requirement="panda3d==1.10.14",
    filename="panda3d-1.10.14-cp311-cp311-win_amd64.whl",
    sha256="1ddf01040b9c5497fb8659e3c5ef793a26c869cfdfb1b75e6d04d6fba0c03b73",
    pattern="panda3d-1.10.14-cp311-cp311-win_amd64.whl",
    purpose="CPython 3.11 for Windows (python311.dll and its modules)",
    python=VERSION,
)
LIBRARY: Final = (
    Deb("libpython3.11-minimal", "Python's standard library, the core", BOOKWORM),
    Deb("libpython3.11-stdlib", "Python's standard library, the rest", BOOKWORM),
)

_WINDOWS_ONLY: Final = ("colorama",)
"""What dependencies ask for on Windows alone, which pip, asked on another system, does not see."""


def wanted(root: Path) -> list[str]:
    """The requirements of the project in ``root``, and of its tests, as pip takes them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(root / "tox.ini", encoding="utf-8")
    return [*project["dependencies"], *tox["testenv"]["deps"].split(), *_WINDOWS_ONLY]


def fingerprint_of(*parts: Path | str) -> str:
    """Changes when one of the files or texts does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]
