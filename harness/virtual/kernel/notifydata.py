"""The structures that notify callbacks are handed: names, IMAGE_INFO_EX, PS_CREATE_NOTIFY_INFO.

One block serves all the calls of one notification, because they come one after another and what they are
handed is theirs only until they return. Then it is overwritten. Layouts: ntddk.h, x64.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.kernel.heap import MAX_NAME, STALE, KernelHeap

__all__ = ["NotifyData"]

_IMAGE_INFO_EX: Final = 0x100
_IMAGE_INFO: Final = _IMAGE_INFO_EX + 8
_CREATE_INFO: Final = 0x180
_NAME: Final = 0x200
_CHARACTERS: Final = 0x220
_COMMAND_LINE: Final = _CHARACTERS + MAX_NAME + 4
_SIZE: Final = _COMMAND_LINE + 0x20 + MAX_NAME + 4

_IMAGE: Final = struct.Struct("<Q IIQIIQIIQ")
"""Size; Properties, pad, ImageBase, ImageSelector, pad, ImageSize, ImageSectionNumber, pad; FileObject."""
_IMAGE_EX_SIZE: Final = 0x38
_ADDRESSING_32BIT: Final = 0x03
"""What ImageAddressingMode always says (IMAGE_INFO)."""
_SYSTEM_MODE: Final = 0x100
_EXTENDED: Final = 0x400
_CREATE: Final = struct.Struct("<QIIQQQQQQII")
_CREATE_SIZE: Final = 0x48
_CREATION_STATUS: Final = 0x40
_FILE_OPEN_NAME_AVAILABLE: Final = 1


class NotifyData:
    """The block, and how each kind of call fills it.

    :param file_object: address of the FILE_OBJECT of a path.
    """

    def __init__(self, memory: Memory, heap: KernelHeap, file_object: Callable[[str], int]) -> None:
        self._file_object = file_object
        self._base = heap.allocate(_SIZE)
        self._memory = memory
        self._view = memory.view(self._base, _SIZE)
        self._strings: list[tuple[int, int]] = []
        """Where characters lie, from and to."""

    def image(self, name: str | None, base: int, size: int, *, system_mode: bool) -> tuple[int, int]:
        """Addresses of FullImageName (0 for none) and ImageInfo."""
        properties = _ADDRESSING_32BIT | _EXTENDED | (_SYSTEM_MODE if system_mode else 0)
        _IMAGE.pack_into(
            self._view,
            _IMAGE_INFO_EX,
            *(_IMAGE_EX_SIZE, properties, 0, base, 0, 0, size, 0, 0, self._file_object(name or "")),
        )
        full_name = self._put_name(name)
        return full_name, self._base + _IMAGE_INFO

    def process(
        self, parent_pid: int, creator: tuple[int, int], image: str | None, command_line: str | None
    ) -> int:
        """Address of CreateInfo."""
        name = self._put_name(image)
        command = 0
        if command_line is not None:
            command = self._base + _COMMAND_LINE
            self._put_string(_COMMAND_LINE, _COMMAND_LINE + 0x20, command_line)
        flags = _FILE_OPEN_NAME_AVAILABLE if image is not None else 0
        file = self._file_object(image or "")
        _CREATE.pack_into(
            self._view,
            _CREATE_INFO,
            *(_CREATE_SIZE, flags, 0, parent_pid, *creator, file, name, command, 0, 0),
        )
        return self._base + _CREATE_INFO

    def creation_status(self) -> int:
        """What the callbacks left in CreateInfo->CreationStatus."""
        return self._memory.u32(self._base + _CREATE_INFO + _CREATION_STATUS)

    def take_back(self) -> None:
        """The calls have returned: what is kept of the block is of no use any more."""
        for start, end in ((0, _CHARACTERS), *self._strings):
            self._view[start:end] = bytes((STALE,)) * (end - start)
        self._strings.clear()

    def _put_name(self, name: str | None) -> int:
        if name is None:
            return 0
        self._put_string(_NAME, _CHARACTERS, name)
        return self._base + _NAME

    def _put_string(self, at: int, characters_at: int, text: str) -> None:
        characters = text.encode("utf-16-le", "surrogatepass")[:MAX_NAME]
        value = KernelHeap.string_value(characters, self._base + characters_at)
        self._view[at : at + 16] = value
        end = characters_at + len(characters) + 2
        self._view[characters_at:end] = characters + b"\0\0"
        self._strings += [(at, at + len(value)), (characters_at, end)]
