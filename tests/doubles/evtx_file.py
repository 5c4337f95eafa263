"""An event log file (EVTX), byte by byte: one chunk, its records in binary XML without templates.

Source: A. Schuster, "Introducing the Microsoft Vista event log file format", and libevtx's documentation.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

__all__ = ["evtx_file"]

_CHUNK = 1 << 16
_RECORDS = 512
"""Where a chunk's records begin."""

Element = tuple[str, dict[str, str], "list[Element] | str"]


class _Xml:
    """Elements as binary XML; a name is written where it is used."""

    def __init__(self, place: int) -> None:
        self.data = bytearray(b"\x0f\x01\x01\x00")
        self._place = place

    def element(self, element: Element) -> None:
        name, attributes, content = element
        data = self.data
        data += b"\x41" if attributes else b"\x01"
        size = len(data)
        data += bytes(4)
        self._name(name)
        if attributes:
            listed = len(data)
            data += bytes(4)
            for number, (key, value) in enumerate(attributes.items(), 1):
                data += b"\x46" if number < len(attributes) else b"\x06"
                self._name(key)
                self._text(value)
            struct.pack_into("<I", data, listed, len(data) - listed - 4)
        data += b"\x02"
        if isinstance(content, str):
            self._text(content)
        else:
            for each in content:
                self.element(each)
        data += b"\x04"
        struct.pack_into("<I", data, size, len(data) - size - 4)

    def _name(self, name: str) -> None:
        here = self._place + len(self.data) + 4
        self.data += (
            struct.pack("<IIHH", here, 0, _hash(name), len(name)) + name.encode("utf-16-le") + bytes(2)
        )

    def _text(self, text: str) -> None:
        self.data += b"\x05\x01" + struct.pack("<H", len(text)) + text.encode("utf-16-le")


def _hash(name: str) -> int:
    found = 0
    for character in name:
        found = (found * 65599 + ord(character)) & 0xFFFFFFFF
    return found & 0xFFFF


def _element(provider: str, number: int, place: int, data: dict[str, str], computer: str) -> Element:
    system: list[Element] = [
        ("Provider", {"Name": provider}, ""),
        ("EventID", {}, str(number)),
        ("EventRecordID", {}, str(place)),
        ("Computer", {}, computer),
    ]
    told: list[Element] = [("Data", {"Name": name}, value) for name, value in data.items()]
    return ("Event", {}, [("System", {}, system), ("EventData", {}, told)])


def evtx_file(records: Iterable[tuple[str, int, int, dict[str, str]]], computer: str = "PC") -> bytes:
    """The file; provider, EventID, EventRecordID and data of each record."""
    body = bytearray()
    count = last = 0
    for count, (provider, number, place, data) in enumerate(records, 1):
        last = len(body)
        xml = _Xml(_RECORDS + last + 24)
        xml.element(_element(provider, number, place, data, computer))
        xml.data += b"\x00"
        size = 24 + len(xml.data) + 4
        size += -size % 8
        record = struct.pack("<IIQQ", 0x2A2A, size, count, 133_500_000_000_000_000) + xml.data
        body += record.ljust(size - 4, b"\0") + struct.pack("<I", size)
    free = _RECORDS + len(body)
    head = bytearray(
        struct.pack(
            "<8sQQQQIIII", b"ElfChnk", 1, count, 1, count, 128, _RECORDS + last, free, zlib.crc32(body)
        )
    )
    head = head.ljust(_RECORDS, b"\0")
    struct.pack_into("<I", head, 124, zlib.crc32(bytes(head[:120]) + bytes(head[128:512])))
    chunk = bytes(head + body).ljust(_CHUNK, b"\0")
    file = bytearray(
        struct.pack("<8sQQQIHHHH", b"ElfFile", 0, 0, count + 1, 128, 1, 3, 4096, 1).ljust(4096, b"\0")
    )
    struct.pack_into("<I", file, 124, zlib.crc32(bytes(file[:120])))
    return bytes(file) + chunk
