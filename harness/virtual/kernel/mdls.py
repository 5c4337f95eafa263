"""Memory descriptor lists: memory that is described, locked, and mapped for the kernel.

What lies in a process is seen through a mapping by a copy, which is written back when the memory is unlocked:
between the two the process and the driver do not see one another's changes.

Sources: Microsoft, *Using MDLs*, *IoAllocateMdl*, *MmProbeAndLockPages*, *MmMapLockedPagesSpecifyCache*
(wdm.h); the structure is build 18362's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.memory import PAGE, is_kernel_address
from harness.virtual.windows.layout import Layout

if TYPE_CHECKING:
    from harness.virtual.kernel.belongings import CallSite
    from harness.virtual.kernel.system import System

__all__ = ["MDL", "MdlFlag", "Mdls"]

MDL: Final = Layout(
    "_MDL",
    0x30,
    {
        "Next": (0x00, "Q"),
        "Size": (0x08, "H"),
        "MdlFlags": (0x0A, "H"),
        "Process": (0x10, "Q"),
        "MappedSystemVa": (0x18, "Q"),
        "StartVa": (0x20, "Q"),
        "ByteCount": (0x28, "I"),
        "ByteOffset": (0x2C, "I"),
    },
)
"""Behind it lies a number of a page for each."""
_TAG: Final = b"Mdl "
_MAPPED_TAG: Final = b"MmMp"


class MdlFlag:
    """Bits of MDL.MdlFlags."""

    MAPPED_TO_SYSTEM_VA: Final = 0x01
    PAGES_LOCKED: Final = 0x02
    SOURCE_IS_NONPAGED_POOL: Final = 0x04
    WRITE_OPERATION: Final = 0x80


@dataclass(eq=False)
class _Mapping:
    pid: int
    """Whose memory it is; 0: the system's."""
    address: int
    size: int
    allocated: bool = False
    """By IoAllocateMdl; otherwise the driver may lay it out anew."""
    mapped: int = 0
    """Address of the copy; 0: there is none."""


class Mdls:
    """Every MDL that there is, by its address."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._known: dict[int, _Mapping] = {}

    def allocate(self, address: int, size: int, *, site: CallSite | None) -> int:
        """IoAllocateMdl; 0 where memory has run out.

        :param site: the call of the driver that it is for.
        """
        pages = (address % PAGE + size + PAGE - 1) // PAGE
        length = MDL.size + 8 * pages
        if length > 0xFFFF or not (mdl := self._system.pool.allocate(length, _TAG, paged=False, site=site)):
            return 0
        start = {"StartVa": address & ~(PAGE - 1), "ByteCount": size, "ByteOffset": address % PAGE}
        self._system.memory.store(mdl, MDL.pack({"Size": length, **start}))
        pid = 0 if is_kernel_address(address) else self._system.address_space
        self._known[mdl] = _Mapping(pid, address, size, allocated=True)
        return mdl

    def free(self, mdl: int) -> None:
        """IoFreeMdl."""
        if mdl in self._known:
            self.unmap(mdl)
            del self._known[mdl]
        self._system.pool.free(mdl)

    def lock(self, mdl: int, *, write: bool, pid: int | None = None) -> bool:
        """MmProbeAndLockPages; False where the memory cannot be accessed so.

        :param pid: whose memory a user address is; None: the current process's.
        """
        known, system = self._of(mdl), self._system
        if known.pid:
            known.pid = system.address_space if pid is None else pid
            space = system.user_space
            if space.read(known.pid, known.address, known.size) is None:
                return False
            if write and not space.is_writable(known.pid, known.address, known.size):
                return False
        elif not system.memory.is_mapped(known.address, known.size):
            return False
        self.set_flags(mdl, MdlFlag.PAGES_LOCKED | (MdlFlag.WRITE_OPERATION if write else 0))
        return True

    def unlock(self, mdl: int) -> None:
        """MmUnlockPages: it is not mapped any more either."""
        self.unmap(mdl)
        self._clear_flags(mdl, MdlFlag.PAGES_LOCKED | MdlFlag.WRITE_OPERATION)

    def map(self, mdl: int) -> int:
        """MmMapLockedPagesSpecifyCache; the address, 0 where memory has run out."""
        known, system = self._of(mdl), self._system
        if known.mapped or not known.pid:
            address = known.mapped or known.address
        else:
            content = system.user_space.read(known.pid, known.address, known.size) or b""
            address = system.pool.allocate(known.size, _MAPPED_TAG, paged=False, site=None)
            if not address:
                return 0
            system.memory.store(address, content)
            known.mapped = address
        self.set_flags(mdl, MdlFlag.MAPPED_TO_SYSTEM_VA)
        system.memory.put_u64(mdl + MDL.offset("MappedSystemVa"), address)
        return address

    def unmap(self, mdl: int) -> None:
        """MmUnmapLockedPages: what was written is the process's."""
        known, system = self._of(mdl), self._system
        if known.mapped:
            if self.flags(mdl) & MdlFlag.WRITE_OPERATION:
                content = system.memory.load(known.mapped, known.size)
                system.user_space.write(known.pid, known.address, content)
            system.pool.free(known.mapped)
            known.mapped = 0
        self._clear_flags(mdl, MdlFlag.MAPPED_TO_SYSTEM_VA)

    def _of(self, mdl: int) -> _Mapping:
        """What is known of an MDL; of one that the driver laid out itself (MmInitializeMdl) what it says."""
        known = self._known.get(mdl)
        if known is None or not (known.allocated or known.mapped):
            image = self._system.memory.load(mdl, MDL.size)
            address = int(MDL.read(image, "StartVa")) + int(MDL.read(image, "ByteOffset"))
            pid = 0 if is_kernel_address(address) else self._system.address_space
            self._known[mdl] = _Mapping(pid, address % (1 << 64), int(MDL.read(image, "ByteCount")))
        return self._known[mdl]

    def knows(self, mdl: int) -> bool:
        """There is one at that address."""
        return mdl in self._known

    def flags(self, mdl: int) -> int:
        """MDL.MdlFlags."""
        return self._system.memory.u16(mdl + MDL.offset("MdlFlags"))

    def set_flags(self, mdl: int, bits: int) -> None:
        """Set bits of MDL.MdlFlags."""
        self._system.memory.put_u16(mdl + MDL.offset("MdlFlags"), self.flags(mdl) | bits)

    def _clear_flags(self, mdl: int, bits: int) -> None:
        self._system.memory.put_u16(mdl + MDL.offset("MdlFlags"), self.flags(mdl) & ~bits)
