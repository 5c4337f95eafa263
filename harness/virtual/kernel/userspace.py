"""The user-mode half of each process's address space, as far as a driver can see it: images, the blocks that
the system keeps there, and buffers of requests.

The model maps images without contents: headers, and zeros behind them, which cannot be written, as pages of a
shared image. Blocks (:mod:`harness.virtual.kernel.userblocks`) and buffers can be written. A page appears
when code in its process first accesses it, and goes when that code stands still or has returned, for another
process may have something else there; what was written is kept for as long as the process lives.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from harness.virtual.cpu.memory import PAGE, Memory, is_kernel_address, page_ceiling

__all__ = ["Region", "UserSpace"]

_MACHINE: Final = 0x8664
_PE_OFFSET: Final = 0x80
_EXECUTABLE: Final = 0x0022
_OPTIONAL_SIZE: Final = 0xF0
_BUFFERS: Final = 0x0180_0000_0000
"""Where the buffers of each process begin."""
_ALIGNMENT: Final = 8
_USER_END: Final = 0x7FFF_FFFF_0000
"""Behind the last user-mode address."""


class Region(NamedTuple):
    """Addresses that belong together."""

    base: int
    size: int
    image: str | None = None
    """NT path of the image that is mapped there, empty where it is not known; None: none is."""
    is_free: bool = False


class _Image(NamedTuple):
    """An image that is mapped."""

    size: int
    path: str


class _Shown(NamedTuple):
    """A page that is mapped now."""

    pid: int
    content: bytes
    """What it held when it appeared."""
    protection: str


class UserSpace:
    """What each process has mapped, and the pages of it that are shown now.

    :param blocks: what stands in a page of the system's blocks, of ``(pid, page)``; None where there is none.
    """

    def __init__(self, memory: Memory, blocks: Callable[[int, int], bytes | None]) -> None:
        self._memory = memory
        self._blocks = blocks
        self._images: dict[int, dict[int, _Image]] = {}
        """PID → base → image."""
        self._buffers: dict[int, dict[int, bytes]] = {}
        """PID → first page → what it and those behind it hold until they are written; whole pages."""
        self._next_buffer: dict[int, int] = {}
        self._written: dict[int, dict[int, bytes]] = {}
        """PID → page → what it holds since it was written."""
        self._shown: dict[int, _Shown] = {}

    def add(self, pid: int, base: int, size: int, path: str) -> None:
        """The process maps an image; what is no user address, or not page-aligned, is left out."""
        if base % PAGE == 0 and not is_kernel_address(base) and size > 0:
            self._images.setdefault(pid, {})[base] = _Image(size, path)

    def forget(self, pid: int) -> None:
        """The process is gone."""
        self.hide()
        for known in (self._images, self._buffers, self._written):
            known.pop(pid, None)

    def allocate(self, pid: int, content: bytes, size: int, *, granularity: int = PAGE) -> int:
        """Address of a buffer of ``size`` bytes that begin with ``content``; what lies behind its last eight
        bytes is not mapped. Addresses are not used twice.

        :param granularity: what the address of its first page is a multiple of.
        """
        room = size + -size % _ALIGNMENT
        pages = page_ceiling(max(room, 1))
        first = (self._next_buffer.get(pid, _BUFFERS) + granularity - 1) & -granularity
        self._next_buffer[pid] = first + pages + PAGE
        whole = bytes(pages - room) + content[:size]
        self._buffers.setdefault(pid, {})[first] = whole.ljust(pages, b"\0")
        return first + pages - room

    def region_at(self, pid: int, address: int) -> tuple[int, int] | None:
        """The first page and the size, in whole pages, of the buffer that holds the address."""
        for first, content in self._buffers.get(pid, {}).items():
            if first <= address < first + len(content):
                return first, len(content)
        return None

    def region_of(self, pid: int, page: int) -> Region:
        """What the process has at a page; where it has nothing, what is free from there on."""
        known = [
            *(Region(base, image.size, image.path) for base, image in self._images.get(pid, {}).items()),
            *(Region(first, len(content)) for first, content in self._buffers.get(pid, {}).items()),
        ]
        for region in known:
            if region.base <= page < region.base + region.size:
                return region
        if self._blocks(pid, page) is not None:
            return Region(page, PAGE)
        end = min((region.base for region in known if region.base > page), default=_USER_END)
        return Region(page, max(end - page, PAGE), is_free=True)

    def total(self) -> int:
        """Bytes of all buffers of all processes."""
        return sum(len(content) for buffers in self._buffers.values() for content in buffers.values())

    def free(self, pid: int, address: int) -> None:
        """Take a buffer away; an address that is none is left alone."""
        self.hide()
        for first, content in self._buffers.get(pid, {}).items():
            if first <= address < first + len(content):
                del self._buffers[pid][first]
                for page in range(first, first + len(content), PAGE):
                    self._written.get(pid, {}).pop(page, None)
                return

    def read(self, pid: int, address: int, size: int) -> bytes | None:
        """What stands there; None where a byte of it is not mapped."""
        self.hide()
        data = b""
        while len(data) < size:
            page, offset = (at := address + len(data)) & ~(PAGE - 1), at % PAGE
            found = self._page(pid, page)
            if found is None:
                return None
            data += found[0].ljust(PAGE, b"\0")[offset : offset + size - len(data)]
        return data

    def is_writable(self, pid: int, address: int, size: int) -> bool:
        """Every byte can be written."""
        pages = range(address & ~(PAGE - 1), address + size, PAGE)
        return all((found := self._page(pid, page)) is not None and found[1] == "rw" for page in pages)

    def write(self, pid: int, address: int, data: bytes) -> bool:
        """Write all of it; False, and nothing written, where that cannot be."""
        self.hide()
        if not self.is_writable(pid, address, len(data)):
            return False
        while data:
            page, offset = address & ~(PAGE - 1), address % PAGE
            found = self._page(pid, page)
            assert found is not None
            part, old = data[: PAGE - offset], found[0].ljust(PAGE, b"\0")
            new = old[:offset] + part + old[offset + len(part) :]
            self._written.setdefault(pid, {})[page] = new
            address, data = address + len(part), data[len(part) :]
        return True

    def show(self, pid: int, address: int, *, write: bool) -> bool:
        """Map the page of ``address`` if the process has one there that can be accessed so; False if not."""
        page = address & ~(PAGE - 1)
        found = self._page(pid, page)
        if found is None or (write and found[1] == "r"):
            return False
        content, protection = found
        self._memory.map(page, PAGE, protection, content=content)
        self._shown[page] = _Shown(pid, content.ljust(PAGE, b"\0"), protection)
        return True

    def hide(self) -> None:
        """Unmap what was shown, and keep what was written."""
        for page, shown in self._shown.items():
            if shown.protection == "rw":
                now = self._memory.read(page, PAGE)
                if now != shown.content:
                    self._written.setdefault(shown.pid, {})[page] = now
            self._memory.unmap(page)
        self._shown.clear()

    def _page(self, pid: int, page: int) -> tuple[bytes, str] | None:
        """Content and protection of a page that the process has; the content without the zeros at its end."""
        for base, image in self._images.get(pid, {}).items():
            if base <= page < base + image.size:
                return (_headers(base, image.size) if page == base else b""), "r"
        written = self._written.get(pid, {}).get(page)
        if written is not None:
            return written, "rw"
        for first, content in self._buffers.get(pid, {}).items():
            if first <= page < first + len(content):
                return content[page - first : page - first + PAGE], "rw"
        block = self._blocks(pid, page)
        return None if block is None else (block, "rw")


def _headers(base: int, size: int) -> bytes:
    """DOS header, signature, file header and the start of a PE32+ optional header."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", _PE_OFFSET)
    file_header = struct.pack("<HHIIIHH", _MACHINE, 0, 0, 0, 0, _OPTIONAL_SIZE, _EXECUTABLE)
    optional = struct.pack("<HBBIIIIIQII", 0x20B, 14, 0, 0, 0, 0, PAGE, PAGE, base, PAGE, 0x200)
    optional += struct.pack("<HHHHHHIIII", 10, 0, 10, 0, 10, 0, 0, size, PAGE, 0)
    return dos.ljust(_PE_OFFSET, b"\0") + b"PE\0\0" + file_header + optional.ljust(_OPTIONAL_SIZE, b"\0")
