"""Small drivers for one test, compiled from their text."""

from __future__ import annotations

import struct
from pathlib import Path

from harness.toolchain import Arch, build_driver

__all__ = ["force_integrity", "make_driver"]

_FORCE_INTEGRITY = 0x80
_DLL_CHARACTERISTICS = 0x18 + 70
"""Offset from the PE signature."""


def make_driver(source: str, folder: Path, name: str = "made", *, suffix: str = "c") -> bytes:
    """The driver ``name`` of one C or C++ file with this text."""
    sources = folder / name
    sources.mkdir()
    (sources / f"{name}.{suffix}").write_text(source, encoding="utf-8")
    build_driver(sources, Arch.X64, folder / f"{name}.sys")
    return (folder / f"{name}.sys").read_bytes()


def force_integrity(image: bytes) -> bytes:
    """The driver as if linked with /INTEGRITYCHECK, without which Ex process routines are refused."""
    data = bytearray(image)
    at = struct.unpack_from("<I", data, 0x3C)[0] + _DLL_CHARACTERISTICS
    data[at] |= _FORCE_INTEGRITY
    return bytes(data)
