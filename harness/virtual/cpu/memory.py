"""The target's virtual memory: regions of host memory that the emulator and Python share.

Every region is one block of host memory mapped into Unicorn, so that exports read a driver's strings and
write its structures without a call into the emulator. There are two ways in: :meth:`Memory.read` and
:meth:`Memory.write` see memory as a debugger does (no protection, no fault); :meth:`Memory.load`,
:meth:`Memory.store` and the typed accessors see it as kernel code does and raise
:class:`~harness.virtual.cpu.traps.MemoryFault` where the processor would fault.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Callable
from typing import Final

from unicorn import UC_PROT_EXEC, UC_PROT_NONE, UC_PROT_READ, UC_PROT_WRITE

from harness.virtual.cpu.engine import CodeEngine
from harness.virtual.cpu.traps import MemoryFault

__all__ = ["PAGE", "Memory", "is_canonical", "is_kernel_address", "page_ceiling"]

PAGE: Final = 0x1000
MAX_SPARE: Final = 32
"""Regions of code that are kept for the next time that they are mapped."""

_PROTECTIONS: Final = {
    "r": UC_PROT_READ,
    "rw": UC_PROT_READ | UC_PROT_WRITE,
    "rx": UC_PROT_READ | UC_PROT_EXEC,
    "rwx": UC_PROT_READ | UC_PROT_WRITE | UC_PROT_EXEC,
}
_WORD: Final = struct.Struct("<H")
_DWORD: Final = struct.Struct("<I")
_QWORD: Final = struct.Struct("<Q")
_ADDRESS_MASK: Final = (1 << 64) - 1
_OWN: Final[dict[str, int]] = {} if sys.platform == "win32" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANON}
"""Memory that a forked process has to itself, as the rest of its memory."""


def page_ceiling(size: int) -> int:
    """``size`` rounded up to whole pages."""
    return (size + PAGE - 1) & ~(PAGE - 1)


def is_canonical(address: int) -> bool:
    """Bits 63..47 are equal, as x64 demands of an address (48-bit paging)."""
    return (address >> 47) in (0, 0x1FFFF)


def is_kernel_address(address: int) -> bool:
    """In the upper half, which Windows keeps for the system."""
    return address >= 0xFFFF_8000_0000_0000


class _Region:
    __slots__ = ("base", "end", "host", "protection", "view", "writable")

    def __init__(self, base: int, size: int, protection: str) -> None:
        self.base = base
        self.end = base + size
        self.protection = protection
        self.writable = "w" in protection
        self.host = mmap.mmap(-1, size, **_OWN)
        self.view = memoryview(self.host)

    def holds(self, content: bytes) -> bool:
        """It is ``content``, and zero behind it."""
        size = len(content)
        return self.host[:size] == content and not any(self.host[size:])

    def fill(self, content: bytes) -> None:
        """Make it ``content``, and zero behind it."""
        ctypes.memset(self.host_address() + len(content), 0, self.end - self.base - len(content))
        self.view[: len(content)] = content

    def host_address(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self.host))


class Memory:
    """Virtual memory of the target, mapped into ``engine``.

    A region is mapped and unmapped whole. Addresses are unsigned 64-bit numbers.

    A region that went away can stay mapped in the engine alone (it is *spare*): mapped anew at its place, it
    costs the engine nothing, and its code, if that is the same, is not translated again. Those that the code
    could come across are without access there.
    """

    def __init__(self, engine: CodeEngine) -> None:
        self._engine = engine
        self._pages: dict[int, _Region] = {}
        self._spare: dict[int, _Region] = {}
        """Without access, by base, the oldest first."""
        self._left: dict[int, _Region] = {}
        """Of the boot before, accessible as they were until :meth:`settle`; by base."""
        self._paged_out: dict[int, _Region] = {}
        """By page, like those that are mapped."""
        self.show_page: Callable[[int, bool], bool] = lambda _address, _write: False
        """Asked when a page that is not mapped is read, or written: maps it so that it can be, and says True,
        or says False."""
        self.may_page_in: Callable[[], bool] = lambda: True
        """Asked when a page is accessed that was paged out."""
        self.paged_in: Callable[[int], None] = lambda _address: None
        """Called when a region has come back, with the address that it starts at."""

    def map(self, address: int, size: int, protection: str = "rw", *, content: bytes = b"") -> None:
        """Back a page-aligned range with zeroed memory that starts with ``content``.

        :param protection: ``r``, ``rw``, ``rx`` or ``rwx``.
        :raises ValueError: not page-aligned, or a page of the range is mapped already.
        """
        pages = range(address // PAGE, (address + size) // PAGE)
        if address % PAGE or size % PAGE or size <= 0 or any(page in self._pages for page in pages):
            raise ValueError(f"0x{address:x}+0x{size:x} cannot be mapped")
        region = self._reuse(address, size, protection, content)
        if region is None:
            region = _Region(address, size, protection)
            region.view[: len(content)] = content
            self._engine.mem_map_ptr(address, size, _PROTECTIONS[protection], region.host_address())
        for page in pages:
            self._pages[page] = region

    def unmap(self, address: int) -> None:
        """Take away the region that starts at ``address``.

        :raises ValueError: no region starts there.
        """
        self._page_in(address)
        region = self._pages.get(address // PAGE)
        if region is None or region.base != address:
            raise ValueError(f"no region starts at 0x{address:x}")
        for page in range(address // PAGE, region.end // PAGE):
            del self._pages[page]
        self._put_aside(region)

    def reset(self) -> None:
        """Nothing is mapped any more."""
        self.paged_in = lambda _address: None
        for page in list(self._paged_out):
            self._page_in(page * PAGE)
        for region in dict.fromkeys(self._pages.values()):
            self._left[region.base] = region
        self._pages.clear()
        self.show_page, self.may_page_in = lambda _address, _write: False, lambda: True

    def settle(self) -> None:
        """Code is about to be executed: take away what is left of the boot before."""
        while self._left:
            self._put_aside(self._left.popitem()[1])

    def enter(self, address: int) -> None:
        """Code is about to be executed from ``address`` on. Where nothing is mapped, what was translated of
        code that was there is forgotten: it would run without being fetched."""
        if address // PAGE not in self._pages:
            for region in self._spare.values():
                if region.base <= address < region.end:
                    self._engine.ctl_remove_cache(region.base, region.end)

    def page_out(self, address: int) -> None:
        """Take the region that starts at ``address`` out of the code's reach until somebody accesses it who
        may; a debugger sees it all the time. One that is out already, or gone, is left alone."""
        region = self._pages.get(address // PAGE)
        if region is None or region.base != address:
            return
        for page in range(region.base // PAGE, region.end // PAGE):
            self._paged_out[page] = self._pages.pop(page)
        self._engine.mem_protect(region.base, region.end - region.base, UC_PROT_NONE)

    def show(self, address: int, *, write: bool) -> bool:
        """Somebody accesses a page that is not there: bring it in, if it can be had; whether it is there."""
        if address // PAGE in self._paged_out:
            return self.may_page_in() and self._page_in(address)
        return self.show_page(address, write)

    def _page_in(self, address: int) -> bool:
        region = self._paged_out.get(address // PAGE)
        if region is None:
            return False
        for page in range(region.base // PAGE, region.end // PAGE):
            self._pages[page] = self._paged_out.pop(page)
        self._engine.mem_protect(region.base, region.end - region.base, _PROTECTIONS[region.protection])
        self.paged_in(region.base)
        return True

    def is_mapped(self, address: int, size: int = 1) -> bool:
        """Every byte of the range is mapped, and can be accessed where it was paged out."""
        pages = range(address // PAGE, (address + max(size, 1) - 1) // PAGE + 1)
        return all(
            page in self._pages or (page in self._paged_out and self.show(page * PAGE, write=True))
            for page in pages
        )

    def is_present(self, address: int) -> bool:
        """The page is mapped and not paged out."""
        return address // PAGE in self._pages

    def is_paged_out(self, address: int) -> bool:
        """The page is mapped and paged out."""
        return address // PAGE in self._paged_out

    def protection(self, address: int) -> str | None:
        """``r``, ``rw``, ``rx`` or ``rwx`` of the page; None when nothing is mapped."""
        region = self._seen_by_debugger(address)
        return None if region is None else region.protection

    def is_writable(self, address: int) -> bool:
        """The page is mapped, paged out or not, and may be written."""
        page = address // PAGE
        region = self._pages.get(page) or self._paged_out.get(page)
        return region is not None and region.writable

    def ranges(self) -> list[tuple[int, int]]:
        """Every mapped region: its address and its size in bytes."""
        regions = dict.fromkeys((*self._pages.values(), *self._paged_out.values()))
        return [(region.base, region.end - region.base) for region in regions]

    def view(self, address: int, size: int) -> memoryview:
        """Direct, writable access to a range that lies in one region.

        :raises ValueError: it does not.
        """
        self._page_in(address)
        region = self._pages.get(address // PAGE)
        if region is None or address + size > region.end:
            raise ValueError(f"0x{address:x}+0x{size:x} does not lie in one region")
        return region.view[address - region.base : address - region.base + size]

    def _reuse(self, address: int, size: int, protection: str, content: bytes) -> _Region | None:
        """A region that was there before, as new; None where there is none that fits."""
        for others in (self._left, self._spare):
            for other in [o for o in others.values() if o.base < address + size and address < o.end]:
                if (other.base, other.end, other.protection) != (address, address + size, protection):
                    del others[other.base]
                    self._drop(other)
        if (region := self._left.pop(address, None)) is None:
            if (region := self._spare.pop(address, None)) is None:
                return None
            self._engine.mem_protect(address, size, _PROTECTIONS[protection])
        if "x" not in protection:
            region.fill(content)
        elif region.writable or not region.holds(content):
            region.fill(content)
            self._engine.ctl_remove_cache(address, address + size)
        return region

    def _put_aside(self, region: _Region) -> None:
        """Nothing can access the region any more; keep it if it is code."""
        if "x" not in region.protection:
            self._drop(region)
            return
        self._engine.mem_protect(region.base, region.end - region.base, UC_PROT_NONE)
        self._spare[region.base] = region
        if len(self._spare) > MAX_SPARE:
            self._drop(self._spare.pop(next(iter(self._spare))))

    def _drop(self, region: _Region) -> None:
        if "x" in region.protection:
            self._engine.ctl_remove_cache(region.base, region.end)
        self._engine.mem_unmap(region.base, region.end - region.base)

    # As a debugger sees memory.

    def _seen_by_debugger(self, address: int) -> _Region | None:
        return self._pages.get(address // PAGE) or self._paged_out.get(address // PAGE)

    def read(self, address: int, size: int) -> bytes:
        """At most ``size`` bytes: fewer where the mapped range ends, none where ``address`` is not mapped."""
        data = b""
        while len(data) < size:
            start = address + len(data)
            region = self._seen_by_debugger(start)
            if region is None:
                break
            data += region.view[start - region.base : start - region.base + size - len(data)]
        return data

    def write(self, address: int, data: bytes) -> bool:
        """Write all of ``data``, whatever the page protection; False, and nothing written, where a byte of
        the range is not mapped. Changed code takes effect at once."""
        pages = range(address // PAGE, (address + max(len(data), 1) - 1) // PAGE + 1)
        if any(self._seen_by_debugger(page * PAGE) is None for page in pages):
            return False
        while data:
            region = self._seen_by_debugger(address)
            assert region is not None
            part = min(len(data), region.end - address)
            region.view[address - region.base : address - region.base + part] = data[:part]
            if "x" in region.protection:
                self._engine.ctl_remove_cache(address, address + part)
            address, data = address + part, data[part:]
        return True

    # As kernel code sees memory.

    def load(self, address: int, size: int) -> bytes:
        """``size`` bytes, or MemoryFault."""
        region = self._pages.get(address // PAGE)
        if region is not None and address + size <= region.end:
            return bytes(region.view[address - region.base : address - region.base + size])
        data = b""
        while len(data) < size:
            start = (address + len(data)) & _ADDRESS_MASK
            region = self._pages.get(start // PAGE)
            if region is not None:
                data += region.view[start - region.base : start - region.base + size - len(data)]
            elif not self.show(start, write=False):
                raise MemoryFault(start, "read", present=False)
        return data

    def store(self, address: int, data: bytes | bytearray) -> None:
        """Write all of ``data``, or MemoryFault at the first byte that cannot be written."""
        region = self._pages.get(address // PAGE)
        if region is not None and region.writable and address + len(data) <= region.end:
            region.view[address - region.base : address - region.base + len(data)] = data
            return
        while data:
            region = self._pages.get(address // PAGE)
            if region is None:
                if self.show(address & _ADDRESS_MASK, write=True):
                    continue
                raise MemoryFault(address & _ADDRESS_MASK, "write", present=False)
            if not region.writable:
                raise MemoryFault(address, "write", present=True)
            part = min(len(data), region.end - address)
            region.view[address - region.base : address - region.base + part] = data[:part]
            address, data = address + part, data[part:]

    def u16(self, address: int) -> int:
        """The USHORT at ``address``."""
        return int(_WORD.unpack(self.load(address, 2))[0])

    def u32(self, address: int) -> int:
        """The ULONG at ``address``."""
        return int(_DWORD.unpack(self.load(address, 4))[0])

    def u64(self, address: int) -> int:
        """The ULONG64 or pointer at ``address``."""
        region = self._pages.get(address // PAGE)
        if region is not None and address + 8 <= region.end:
            return int(_QWORD.unpack_from(region.view, address - region.base)[0])
        return int(_QWORD.unpack(self.load(address, 8))[0])

    def put_u8(self, address: int, value: int) -> None:
        """Store a UCHAR; higher bits are cut off."""
        region = self._pages.get(address // PAGE)
        if region is not None and region.writable:
            region.view[address - region.base] = value & 0xFF
            return
        self.store(address, bytes((value & 0xFF,)))

    def put_u16(self, address: int, value: int) -> None:
        """Store a USHORT; higher bits are cut off."""
        self.store(address, _WORD.pack(value & 0xFFFF))

    def put_u32(self, address: int, value: int) -> None:
        """Store a ULONG; higher bits are cut off."""
        region = self._pages.get(address // PAGE)
        if region is not None and region.writable and address + 4 <= region.end:
            _DWORD.pack_into(region.view, address - region.base, value & 0xFFFF_FFFF)
            return
        self.store(address, _DWORD.pack(value & 0xFFFF_FFFF))

    def put_u64(self, address: int, value: int) -> None:
        """Store a ULONG64 or pointer; higher bits are cut off."""
        region = self._pages.get(address // PAGE)
        if region is not None and region.writable and address + 8 <= region.end:
            _QWORD.pack_into(region.view, address - region.base, value & _ADDRESS_MASK)
            return
        self.store(address, _QWORD.pack(value & _ADDRESS_MASK))

    def c_string(self, address: int, limit: int) -> bytes:
        """The bytes before the first NUL, at most ``limit``; MemoryFault where memory ends before either."""
        return self._until_nul(address, limit, width=1)

    def wide_string(self, address: int, limit: int) -> bytes:
        """UTF-16 characters before the first NUL character, at most ``limit`` of them, as bytes."""
        return self._until_nul(address, 2 * limit, width=2)

    def _until_nul(self, address: int, limit: int, *, width: int) -> bytes:
        found = b""
        while len(found) < limit:
            room = min(PAGE - (address + len(found)) % PAGE, limit - len(found))
            # A wide character may lie across two pages: then both must be there.
            room += room % width
            start = len(found)
            found += self.load(address + start, room)
            if width == 1:
                end = found.find(b"\0", start)
            else:
                ends = (i for i in range(start, len(found), 2) if not found[i] and not found[i + 1])
                end = next(ends, -1)
            if end >= 0:
                return found[:end]
        return found[:limit]
