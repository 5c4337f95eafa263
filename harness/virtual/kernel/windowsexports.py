"""Which names the real ntoskrnl.exe and hal.dll export: to tell a typing error from a gap of the virtual
target.

The lists are mingw-w64's module definition files, read from the ``ziglang`` package where they lie.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

__all__ = ["windows_exports"]

_DEFINITIONS = ("ntoskrnl.def", "hal.def")


@functools.cache
def windows_exports() -> frozenset[str]:
    """Exported names; empty where the package is not installed."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "lib" / "libc" / "mingw" / "lib64"
    names: set[str] = set()
    for definition in _DEFINITIONS:
        file = folder / definition
        if file.is_file():
            lines = file.read_text(encoding="ascii", errors="replace").splitlines()
            names.update(
                line.split()[0] for line in lines if line and line[0] not in ";" and ' "' not in line
            )
    return frozenset(names)
