"""What a halted target's memory tells: bytes, strings, the loaded module list, the bugcheck data.

Everything read here comes from the target and is not trusted: every walk has a limit and notices a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from harness.breakpoints.targetreader import UnreadableMemory
from harness.debuggers.base import Module
from harness.kd.contexts import MACHINE_I386
from harness.kd.manipulate import GetVersion64, Manipulate, ReadVirtualMemory, WriteVirtualMemory

__all__ = ["MAX_MODULES", "TargetMemory", "UnreadableMemory"]

MAX_MODULES: Final = 2048
"""Entries of the module list that are followed; Windows has about 200."""
MAX_NAME: Final = 1024
"""Bytes of one module name."""
PIECE: Final = 0x400
"""Bytes asked for at a time; a KDNET target gives at most 0x448."""
REQUEST_SECONDS: Final = 5.0

R = TypeVar("R", bound=Manipulate)


class _EntryLayout(NamedTuple):
    """Where the fields of a loader entry lie (KLDR_DATA_TABLE_ENTRY)."""

    pointer: int
    base: int
    size: int
    name: int
    """UNICODE_STRING of the base name: length u16, maximum u16, then, aligned, the buffer."""
    whole: int


_ENTRY64 = _EntryLayout(pointer=8, base=0x30, size=0x40, name=0x58, whole=0x68)
_ENTRY32 = _EntryLayout(pointer=4, base=0x18, size=0x20, name=0x2C, whole=0x34)

_KI_BUGCHECK_DATA: Final = 0x88
"""Offset in KDDEBUGGER_DATA64 of the address of KiBugcheckData."""


class TargetMemory:
    """Reads a halted target.

    :param ask: sends a request and returns its reply, within the seconds given.
    :param version: the target's GetVersion64.
    """

    def __init__(self, ask: Callable[[Manipulate, float], Manipulate], version: GetVersion64) -> None:
        self._ask = ask
        self._version = version
        self._is_32bit = version.machine_type == MACHINE_I386
        self._entry = _ENTRY32 if self._is_32bit else _ENTRY64

    def canonical(self, address: int) -> int:
        """The address as KD writes it: sign-extended to 64 bits on a 32-bit target."""
        if self._is_32bit and address & 0x80000000:
            return address & 0xFFFFFFFF | 0xFFFFFFFF00000000
        return address

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes; raises :class:`UnreadableMemory` where the target refuses one."""
        data = b""
        while len(data) < size:
            at = self.canonical(address) + len(data)
            count = min(size - len(data), PIECE)
            reply = self._ask(ReadVirtualMemory(address=at, count=count), REQUEST_SECONDS)
            assert isinstance(reply, ReadVirtualMemory)
            piece = reply.data[: min(reply.actual, count)]
            if not reply.succeeded or not piece:
                raise UnreadableMemory(f"the target cannot read 0x{at:016x} (status 0x{reply.status:08x})")
            data += piece
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write; raises :class:`UnreadableMemory` where the target refuses."""
        done = 0
        while done < len(data):
            piece = data[done : done + PIECE]
            at = self.canonical(address) + done
            request = WriteVirtualMemory(address=at, count=len(piece), data=piece)
            reply = self._ask(request, REQUEST_SECONDS)
            assert isinstance(reply, WriteVirtualMemory)
            if not reply.succeeded or not 0 < reply.actual <= len(piece):
                raise UnreadableMemory(f"the target cannot write 0x{at:016x} (status 0x{reply.status:08x})")
            done += reply.actual

    def modules(self) -> list[Module]:
        """The kernel's loaded module list, in load order; empty when the target does not say where it is."""
        head = self._version.ps_loaded_module_list
        if not head:
            return []
        modules: list[Module] = []
        seen = {self.canonical(head)}
        link = self._pointer(self.read(head, self._entry.pointer), 0)
        while link not in seen:
            if len(modules) >= MAX_MODULES:
                raise UnreadableMemory(f"the loaded module list has more than {MAX_MODULES} entries")
            seen.add(link)
            entry = self.read(link, self._entry.whole)
            base = self._pointer(entry, self._entry.base)
            size = int.from_bytes(entry[self._entry.size : self._entry.size + 4], "little")
            modules.append(Module(self._unicode_string(entry, self._entry.name), base, size))
            link = self._pointer(entry, 0)
        return modules

    def bugcheck_data(self) -> tuple[int, tuple[int, int, int, int]] | None:
        """Code and parameters in KiBugcheckData; None when the target has no debugger data block, or no
        code."""
        head = self._version.debugger_data_list
        if not head:
            return None
        block = self._pointer(self.read(head, 8), 0)
        address = int.from_bytes(self.read(block + _KI_BUGCHECK_DATA, 8), "little")
        width = self._entry.pointer
        data = self.read(address, 5 * width)
        code, *parameters = (
            int.from_bytes(data[at : at + width], "little") for at in range(0, 5 * width, width)
        )
        one, two, three, four = parameters
        return (code, (one, two, three, four)) if code else None

    def interrupt_time(self) -> int:
        """KUSER_SHARED_DATA's interrupt time, 100 ns units since boot."""
        data = self.read(0xFFDF0008 if self._is_32bit else 0xFFFFF78000000008, 8)
        return int.from_bytes(data, "little")

    def _pointer(self, data: bytes, offset: int) -> int:
        return self.canonical(int.from_bytes(data[offset : offset + self._entry.pointer], "little"))

    def _unicode_string(self, entry: bytes, offset: int) -> str:
        length = min(int.from_bytes(entry[offset : offset + 2], "little"), MAX_NAME)
        buffer = self._pointer(entry, offset + self._entry.pointer)
        if not length or not buffer:
            return ""
        try:
            return self.read(buffer, length).decode("utf-16-le", "replace")
        except UnreadableMemory:
            return ""  # the name is paged out; the rest of the entry is worth having
