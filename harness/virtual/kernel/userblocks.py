"""The user-mode blocks of a process that drivers look at: PEB, process parameters, TEBs, and of a 32-bit
process the 32-bit PEB.

They can be read and written in the process's context, from its creation on. They hold what the model knows,
until somebody writes the page; a field that it knows nothing of is 0 (``Ldr`` among them: no loader runs).
Layouts: Microsoft's public symbols of build 18362 (x64), as published by the Vergilius project.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.kernel.objects import Objects, ProcessObject, ThreadObject
from harness.virtual.windows.symbols18362 import BUILD_NUMBER

__all__ = ["UserBlocks"]

_PEB: Final = 0x00C0_0000_0000
"""Where the PEBs of 64-bit processes lie, each in a stretch of its own."""
_STRETCH: Final = 0x40_0000
_WOW64_PEB: Final = 0x0020_0000
"""That of a 32-bit process, below every image; address spaces are private, so they share it."""
_PEB32: Final = PAGE
_PARAMETERS: Final = 2 * PAGE
_TEBS: Final = 3 * PAGE
_TEB_SIZE: Final = 3 * PAGE
"""The 64-bit TEB has two pages; the 32-bit one, where there is one, lies behind it."""
_MAX_TEBS: Final = 160
"""As many fit below the first image of a 32-bit process; a further thread is shown without one."""
_MACHINE_I386: Final = 0x14C
_NORMALIZED: Final = 1
"""RTL_USER_PROCESS_PARAMETERS.Flags: its strings hold addresses, not offsets."""
_STRINGS: Final = 0x440
"""Where the strings begin, behind the structure (0x410 bytes) in its page."""
_WIN32_NT: Final = 2
"""PEB.OSPlatformId: VER_PLATFORM_WIN32_NT."""


class UserBlocks:
    """Gives processes and threads their blocks, and shows the pages.

    :param processors: what the PEB says of them.
    """

    def __init__(self, memory: Memory, heap: KernelHeap, objects: Objects, *, processors: int) -> None:
        self._memory = memory
        self._heap = heap
        self._objects = objects
        self._processors = processors
        self._tebs: dict[int, dict[int, tuple[int, int]]] = {}
        """PID → address of a TEB → the thread it is of."""

    def add_process(self, process: ProcessObject, *, wow64: bool) -> None:
        """A process with an executable begins."""
        peb = _WOW64_PEB if wow64 else _PEB + process.pid // 4 * _STRETCH
        wow64_process = 0
        if wow64:
            wow64_process = self._heap.allocate(16)
            self._memory.store(wow64_process, struct.pack("<QHxxI", peb + _PEB32, _MACHINE_I386, 1))
        self._tebs[process.pid] = {}
        self._objects.set_user_blocks(process, peb, peb + _PEB32 if wow64 else 0, wow64_process)

    def add_thread(self, thread: ThreadObject) -> None:
        """A thread begins; one of a process without a PEB, or one too many, has no TEB."""
        tebs = self._tebs.get(thread.pid)
        if tebs is None or len(tebs) == _MAX_TEBS:
            return
        teb = self._objects.process(thread.pid).peb + _TEBS + len(tebs) * _TEB_SIZE
        tebs[teb] = (thread.pid, thread.tid)
        self._objects.set_teb(thread, teb)

    def forget(self, pid: int) -> None:
        """The process's address space is gone."""
        self._tebs.pop(pid, None)

    def page(self, pid: int, page: int) -> bytes | None:
        """What stands in that page of that process; None where none of its blocks lies."""
        tebs = self._tebs.get(pid)
        if tebs is None:
            return None
        process = self._objects.process(pid)
        offset = page - process.peb
        if offset == 0:
            return self._peb(process)
        if offset == _PEB32:
            return _peb32(process, self._processors) if process.peb32 else None
        if offset == _PARAMETERS:
            return _parameters(process.peb + _PARAMETERS, process.command_line or "")
        owner = tebs.get(page)
        return None if owner is None else _teb(page, process.peb, owner)

    def _peb(self, process: ProcessObject) -> bytes:
        block = bytearray(PAGE)
        struct.pack_into("<QQQ", block, 0x10, process.image_base, 0, process.peb + _PARAMETERS)
        struct.pack_into("<I", block, 0xB8, self._processors)
        struct.pack_into("<IIHHI", block, 0x118, 10, 0, BUILD_NUMBER, 0, _WIN32_NT)
        return bytes(block)


def _peb32(process: ProcessObject, processors: int) -> bytes:
    block = bytearray(PAGE)
    struct.pack_into("<I", block, 0x08, process.image_base & 0xFFFF_FFFF)
    struct.pack_into("<I", block, 0x64, processors)
    struct.pack_into("<IIHHI", block, 0xA4, 10, 0, BUILD_NUMBER, 0, _WIN32_NT)
    return bytes(block)


def _parameters(address: int, command_line: str) -> bytes:
    """RTL_USER_PROCESS_PARAMETERS; a command line that does not fit into its page is cut."""
    block = bytearray(PAGE)
    quoted = command_line.startswith('"')
    program = command_line[1:].partition('"')[0] if quoted else command_line.partition(" ")[0]
    struct.pack_into("<III", block, 0, PAGE, PAGE, _NORMALIZED)
    at = _STRINGS
    for field, text in ((0x60, program), (0x70, command_line)):
        raw = text.encode("utf-16-le", "surrogatepass")[: (PAGE - _STRINGS) // 2 - 2 & ~1]
        struct.pack_into("<HHIQ", block, field, len(raw), len(raw) + 2, 0, address + at)
        block[at : at + len(raw)] = raw
        at += len(raw) + 2
    return bytes(block)


def _teb(address: int, peb: int, owner: tuple[int, int]) -> bytes:
    block = bytearray(PAGE)
    struct.pack_into("<Q", block, 0x30, address)
    struct.pack_into("<QQ", block, 0x40, *owner)
    struct.pack_into("<Q", block, 0x60, peb)
    return bytes(block)
