"""Linker options that a source asks for (``#pragma comment(linker, ...)``), taken out of an object file.

lld refuses there some that Microsoft's linker takes; on its command line it takes them. Format: Microsoft, PE
Format, *The .drectve Section*.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

__all__ = ["INTEGRITY_CHECK", "take_directive"]

INTEGRITY_CHECK: Final = re.compile(rb'"?[-/]integritycheck"?(?![^\s\0])', re.IGNORECASE)
"""The option /INTEGRITYCHECK."""

_FILE_HEADER: Final = struct.Struct("<HHIIIHH")
_SECTION: Final = struct.Struct("<8sIIIIIIHHI")
_NAME: Final = b".drectve"


def take_directive(path: Path, option: re.Pattern[bytes]) -> bool:
    """Blank ``option`` out of the directives of an object file of the compiler's; whether it was there."""
    data = bytearray(path.read_bytes())
    sections, optional = _FILE_HEADER.unpack_from(data)[1], _FILE_HEADER.unpack_from(data)[5]
    found = False
    for number in range(sections):
        entry = _SECTION.unpack_from(data, _FILE_HEADER.size + optional + number * _SECTION.size)
        if entry[0] != _NAME:
            continue
        start, end = entry[4], entry[4] + entry[3]
        kept = option.sub(lambda match: b" " * len(match[0]), bytes(data[start:end]))
        found = found or kept != data[start:end]
        data[start:end] = kept
    if found:
        path.write_bytes(data)
    return found
