"""KPCR and KPRCB: what a processor's GS base leads to, and the descriptor tables beside it."""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.windows.symbols18362 import KPCR, KPRCB_OFFSET

__all__ = ["ProcessorBlocks"]

_BASE: Final = 0xFFFFF802_20000000
_STRIDE: Final = 0x20000
_SIZE: Final = 0xC000
_GDT: Final = 0x9000
_IDT: Final = 0xA000
_TSS: Final = 0xB000
_DESCRIPTORS: Final = {
    0x10: 0x00209B00_00000000,  # ring 0 code, 64-bit
    0x18: 0x00CF9300_0000FFFF,  # ring 0 data
    0x20: 0x00CFFB00_0000FFFF,  # ring 3 code, 32-bit
    0x28: 0x00CFF300_0000FFFF,  # ring 3 data
    0x30: 0x0020FB00_00000000,  # ring 3 code, 64-bit
    0x50: 0x0040F300_00003C00,  # the 32-bit TEB
}
"""The selectors of x64 Windows with their descriptors (Intel SDM vol. 3, 3.4.5)."""
_IDLE_THREAD: Final = KPCR.offset("Prcb.IdleThread")
_CURRENT_THREAD: Final = KPCR.offset("Prcb.CurrentThread")


class ProcessorBlocks:
    """Writes every processor's KPCR and KPRCB.

    :param version_block: what KPCR.KdVersionBlock points to.
    """

    def __init__(self, memory: Memory, count: int, *, version_block: int) -> None:
        self._memory = memory
        self._idle = [0] * count
        self._current = [0] * count
        self.addresses = tuple(_BASE + number * _STRIDE for number in range(count))
        """Of the KPCRs."""
        for number, address in enumerate(self.addresses):
            memory.map(address, _SIZE)
            for selector, descriptor in _DESCRIPTORS.items():
                memory.put_u64(address + _GDT + selector, descriptor)
            memory.store(address, self._content(number, address, version_block))

    def set_idle_thread(self, processor: int, thread: int) -> None:
        """``thread`` (a KTHREAD's address) is what the processor executes now, and while it has no other."""
        self._idle[processor] = thread
        self._memory.put_u64(self.addresses[processor] + _IDLE_THREAD, thread)
        self.set_current_thread(processor, thread)

    def set_current_thread(self, processor: int, thread: int) -> int:
        """The processor executes ``thread`` from now on, and no other processor does; the one before."""
        before = self._current[processor]
        if before != thread:
            self.leave(thread)
            self._current[processor] = thread
            self._memory.put_u64(self.addresses[processor] + _CURRENT_THREAD, thread)
        return before

    def leave(self, thread: int) -> None:
        """No processor executes ``thread`` any more: the one that did is idle."""
        if thread in self._current:
            processor = self._current.index(thread)
            self.set_current_thread(processor, self._idle[processor])

    @staticmethod
    def _content(number: int, address: int, version_block: int) -> bytes:
        return KPCR.pack(
            {
                "GdtBase": address + _GDT,
                "TssBase": address + _TSS,
                "Self": address,
                "CurrentPrcb": address + KPRCB_OFFSET,
                "IdtBase": address + _IDT,
                "MajorVersion": 1,
                "MinorVersion": 1,
                "KdVersionBlock": version_block,
                "Prcb.MxCsr": 0x1F80,
                "Prcb.LegacyNumber": number,
                "Prcb.Number": number,
                "Prcb.CpuType": 6,
                "Prcb.CpuID": 1,
                "Prcb.MHz": 3000,
                "Prcb.MinorVersion": 1,
                "Prcb.MajorVersion": 1,
                "Prcb.VendorString": b"GenuineIntel",
                "Prcb.MaxBreakpoints": 4,
            }
        )
