"""Records with a fixed binary layout that survive a round trip byte for byte.

A record is a frozen dataclass whose fields say where they lie::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ReadVirtualMemory(Manipulate):
        address: int = u64(16)
        count: int = u32(24)

KD senders fill structures on the stack and leave garbage in padding and unused union members. The bytes of
the fixed part that no field covers are kept in :attr:`Record.unused`, so that encoding a decoded record gives
the bytes it came from.
"""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

from harness.kd.errors import ProtocolError

__all__ = ["Record", "raw", "u8", "u16", "u32", "u64"]

_LAYOUT = "layout"


def _integer(offset: int, code: str, default: int) -> Any:
    return field(default=default, metadata={_LAYOUT: (offset, code, struct.calcsize("<" + code))})


def u8(offset: int, default: int = 0) -> Any:
    """A dataclass field: unsigned byte at ``offset``."""
    return _integer(offset, "B", default)


def u16(offset: int, default: int = 0) -> Any:
    """A dataclass field: little-endian unsigned 16-bit integer at ``offset``."""
    return _integer(offset, "H", default)


def u32(offset: int, default: int = 0) -> Any:
    """A dataclass field: little-endian unsigned 32-bit integer at ``offset``."""
    return _integer(offset, "I", default)


def u64(offset: int, default: int = 0) -> Any:
    """A dataclass field: little-endian unsigned 64-bit integer at ``offset``."""
    return _integer(offset, "Q", default)


def raw(offset: int, size: int) -> Any:
    """A dataclass field: ``size`` bytes at ``offset``."""
    return field(default=bytes(size), metadata={_LAYOUT: (offset, f"{size}s", size)})


class _Layout(NamedTuple):
    names: tuple[str, ...]
    codec: struct.Struct
    unused_mask: int
    """1 bits where no field lies, as a little-endian integer over the fixed part."""


_LAYOUTS: dict[type[Record], _Layout] = {}


def _layout_of(record: type[Record]) -> _Layout:
    layout = _LAYOUTS.get(record)
    if layout is None:
        layout = _LAYOUTS[record] = _make_layout(record)
    return layout


def _make_layout(record: type[Record]) -> _Layout:
    placed = sorted(
        (*item.metadata[_LAYOUT], item.name)
        for item in dataclasses.fields(record)
        if _LAYOUT in item.metadata
    )
    code, end, mask = "<", 0, (1 << 8 * record.SIZE) - 1
    for offset, item_code, size, name in placed:
        if offset < end or offset + size > record.SIZE:
            raise TypeError(f"{record.__name__}.{name} does not fit at offset {offset}")
        code += f"{offset - end}x{item_code}"
        end = offset + size
        mask &= ~(((1 << 8 * size) - 1) << 8 * offset)
    code += f"{record.SIZE - end}x"
    return _Layout(tuple(name for *_, name in placed), struct.Struct(code), mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A structure of :attr:`SIZE` bytes followed by :attr:`data`."""

    SIZE: ClassVar[int] = 0
    """Bytes of the fixed part."""

    data: bytes = b""
    """What follows the fixed part."""
    unused: bytes = b""
    """The fixed part with every field zeroed: what the sender left between the fields. Empty = zeros."""

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse; raises :class:`ProtocolError` when ``payload`` is shorter than the fixed part or breaks a
        rule of the record."""
        size = cls.SIZE
        if len(payload) < size:
            raise ProtocolError(f"{cls.__name__}: {len(payload)} bytes where at least {size} are due")
        names, codec, unused_mask = _layout_of(cls)
        values = dict(zip(names, codec.unpack_from(payload), strict=True))
        unused = int.from_bytes(payload[:size], "little") & unused_mask
        record = cls(
            data=bytes(payload[size:]),
            unused=unused.to_bytes(size, "little") if unused else b"",
            **values,
        )
        record.check()
        return record

    def check(self) -> None:
        """Raise :class:`ProtocolError` when a length contradicts :attr:`data`; overridden per record."""

    def encode(self) -> bytes:
        """The bytes; a field out of its range raises :class:`ProtocolError`."""
        names, codec, _ = _layout_of(type(self))
        try:
            fixed = codec.pack(*[getattr(self, name) for name in names])
        except struct.error as error:
            raise ProtocolError(f"{type(self).__name__} cannot be encoded: {error}") from error
        if self.unused:
            both = int.from_bytes(fixed, "little") | int.from_bytes(self.unused, "little")
            fixed = both.to_bytes(self.SIZE, "little")
        return fixed + self.data
