"""Build what Wine lacks: a python.exe that KDNET can live in, and a stand-in for mscoree.dll."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from harness.resources import driver_sources
from harness.toolchain.arch import Arch
from harness.toolchain.program import build_program

__all__ = ["build_launcher", "launcher_fingerprint"]

_SEVEN: Final = {"_WIN32_WINNT": "0x0601"}
"""Windows 7: the first with the option that the launcher deals with."""


def _sources() -> tuple[Path, Path]:
    room = driver_sources() / "wine"
    return room / "launcher" / "python.c", room / "mscoree" / "mscoree.c"


def launcher_fingerprint() -> str:
    """Changes when the sources do."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in _sources())).hexdigest()[:16]


def build_launcher(folder: Path) -> None:
    """Write ``python.exe`` and ``mscoree.dll`` into ``folder``.

    :raises harness.errors.ToolchainError: the compiler is missing or refused.
    """
    launcher, mscoree = _sources()
    build_program([launcher], Arch.X64, folder / "python.exe", libs=("kernel32", "shell32"), defines=_SEVEN)
    build_program([mscoree], Arch.X64, folder / "mscoree.dll", kind="dll", exports=("CLRCreateInstance",))
