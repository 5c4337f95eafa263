"""C structures as tables: a name and an offset a field, packed little-endian."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["Layout", "Value", "unicode_string"]

Value: TypeAlias = int | bytes | tuple[int, ...]
"""What a field takes: a tuple where its format holds several values."""


class Layout:
    """One structure of one Windows build.

    :param name: the structure's name in Microsoft's symbols.
    :param size: ``sizeof`` in bytes.
    :param fields: field name to ``(offset, struct format without byte order)``; a format may hold several
        values (``QQ`` for a LIST_ENTRY) and is then packed from a tuple.
    """

    def __init__(self, name: str, size: int, fields: Mapping[str, tuple[int, str]]) -> None:
        self.name = name
        self.size = size
        self.fields = dict(fields)
        self._packers = {field: (offset, struct.Struct("<" + fmt)) for field, (offset, fmt) in fields.items()}
        for field, (offset, packer) in self._packers.items():
            if offset + packer.size > size:
                raise ValueError(f"{name}.{field} at 0x{offset:x} does not fit 0x{size:x} bytes")

    def offset(self, field: str) -> int:
        """Where ``field`` lies; KeyError for a field the table does not have."""
        return self._packers[field][0]

    def pack(self, values: Mapping[str, Value]) -> bytes:
        """The structure with these fields set and zero everywhere else."""
        image = bytearray(self.size)
        for field, value in values.items():
            offset, packer = self._packers[field]
            packer.pack_into(image, offset, *_words(value))
        return bytes(image)

    def field(self, field: str, value: Value) -> bytes:
        """The bytes of one field, to be written at its :meth:`offset` of a structure in memory."""
        return self._packers[field][1].pack(*_words(value))

    def read(self, image: bytes, field: str) -> Any:
        """One field of ``image``: an int or bytes, a tuple where the format holds several values."""
        offset, packer = self._packers[field]
        words = packer.unpack_from(image, offset)
        return words if len(words) > 1 else words[0]


def _words(value: Value) -> tuple[int | bytes, ...]:
    return value if isinstance(value, tuple) else (value,)


def unicode_string(text: str, buffer: int) -> tuple[bytes, tuple[int, int, int, int]]:
    """A UNICODE_STRING whose characters will lie at ``buffer``: the characters, NUL included, and the value
    for a ``HHIQ`` field (length in bytes without the NUL, maximum length, padding, pointer)."""
    characters = text.encode("utf-16-le") + b"\0\0"
    return characters, (len(characters) - 2, len(characters), 0, buffer)
