"""Build what a python.org installation has and the pieces have not, and what Wine 8 has not."""

from __future__ import annotations

from pathlib import Path

import pefile

from harness.toolchain.arch import Arch
from harness.toolchain.program import build_program
from tools.windows_python.pieces import SOURCES, VERSION

__all__ = ["build_programs", "stable_names"]


def build_programs(folder: Path) -> None:
    """Write ``python.exe``, ``python3.dll`` and ``bcryptprimitives.dll`` into ``folder``, the Python's home.

    :raises harness.errors.ToolchainError: the compiler is missing or refused.
    """
    interpreter = f"python{VERSION.replace('.', '')}"
    forwards = [f"{name}={interpreter}.{name}" for name in stable_names(folder)]
    build_program([SOURCES / "python.c"], Arch.X64, folder / "python.exe", libs=("kernel32", "shell32"))
    build_program([SOURCES / "python3.c"], Arch.X64, folder / "python3.dll", kind="dll", exports=forwards)
    build_program(
        [SOURCES / "bcryptprimitives.c"],
        Arch.X64,
        folder / "bcryptprimitives.dll",
        kind="dll",
        libs=("kernel32", "advapi32"),
        exports=("ProcessPrng",),
    )


def stable_names(folder: Path) -> list[str]:
    """What the modules below ``folder`` import from ``python3.dll``."""
    names = set()
    for path in folder.rglob("*.pyd"):
        with pefile.PE(str(path), fast_load=True) as image:
            image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
            for module in getattr(image, "DIRECTORY_ENTRY_IMPORT", ()):
                if module.dll.lower() == b"python3.dll":
                    names |= {item.name.decode("ascii") for item in module.imports}
    return sorted(names)
