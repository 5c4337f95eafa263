"""User-mode images as a kernel callback can see them: headers, and zeros behind them.

The model maps images without contents. A driver that looks at ``ImageInfo->ImageBase`` in the process's
context is right to do so and must not fault: pages of images that the current process has mapped appear
when they are first read, and go when the callback has returned. Writing them is refused, as to a page of
a shared image.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.memory import PAGE, Memory, is_kernel_address

__all__ = ["UserImages"]

_MACHINE: Final = 0x8664
_PE_OFFSET: Final = 0x80
_EXECUTABLE: Final = 0x0022
_OPTIONAL_SIZE: Final = 0xF0


class UserImages:
    """Which images each process has mapped, and the pages of them that are shown now.

    :param blocks: what stands in a page that is no image's, of ``(pid, page)``; None where nothing is mapped.
    """

    def __init__(self, memory: Memory, blocks: Callable[[int, int], bytes | None]) -> None:
        self._memory = memory
        self._blocks = blocks
        self._mapped: dict[int, dict[int, int]] = {}
        self._shown: list[int] = []

    def add(self, pid: int, base: int, size: int) -> None:
        """The process maps an image; what is no user address, or not page-aligned, is left out."""
        if base % PAGE == 0 and not is_kernel_address(base) and size > 0:
            self._mapped.setdefault(pid, {})[base] = size

    def forget(self, pid: int) -> None:
        """The process is gone."""
        self._mapped.pop(pid, None)

    def show(self, pid: int, address: int) -> bool:
        """Map the page of ``address`` if it lies in an image or a block of that process; False if not."""
        for base, size in self._mapped.get(pid, {}).items():
            if base <= address < base + size:
                page = address & ~(PAGE - 1)
                self._show(page, _headers(base, size) if page == base else b"")
                return True
        content = self._blocks(pid, address & ~(PAGE - 1))
        if content is None:
            return False
        self._show(address & ~(PAGE - 1), content)
        return True

    def _show(self, page: int, content: bytes) -> None:
        self._memory.map(page, PAGE, "r", content=content)
        self._shown.append(page)

    def hide(self) -> None:
        """Unmap what was shown: another process may have another image there."""
        for page in self._shown:
            self._memory.unmap(page)
        self._shown.clear()


def _headers(base: int, size: int) -> bytes:
    """DOS header, signature, file header and the start of a PE32+ optional header."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", _PE_OFFSET)
    file_header = struct.pack("<HHIIIHH", _MACHINE, 0, 0, 0, 0, _OPTIONAL_SIZE, _EXECUTABLE)
    optional = struct.pack("<HBBIIIIIQII", 0x20B, 14, 0, 0, 0, 0, PAGE, PAGE, base, PAGE, 0x200)
    optional += struct.pack("<HHHHHHIIII", 10, 0, 10, 0, 10, 0, 0, size, PAGE, 0)
    return dos.ljust(_PE_OFFSET, b"\0") + b"PE\0\0" + file_header + optional.ljust(_OPTIONAL_SIZE, b"\0")
