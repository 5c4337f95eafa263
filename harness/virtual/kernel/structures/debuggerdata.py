"""What a debugger reads first: KDDEBUGGER_DATA64 and the variables of the kernel that it points to.

``GetVersion64`` names the list head; its Flink leads to the block (tag ``KDBG``), the block to the module and
process lists, the processors, the bugcheck data and the build string. Nothing in it changes after boot.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from harness.virtual.cpu.kernel_image import KernelImage
from harness.virtual.cpu.memory import Memory
from harness.virtual.kernel.structures.shareddata import PHYSICAL_PAGES, TICK
from harness.virtual.windows.symbols18362 import (
    BUILD_LAB,
    EPROCESS,
    ETHREAD,
    KDDEBUGGER_DATA64,
    KPCR,
    KPRCB_OFFSET,
    SIZE_OF_KPRCB,
)

__all__ = ["write_debugger_data"]

_CODE_SELECTOR: Final = 0x10
_TSS_SELECTOR: Final = 0x40


def write_debugger_data(memory: Memory, image: KernelImage, processor_blocks: Sequence[int]) -> None:
    """Fill the places that the kernel image reserves by name.

    :param processor_blocks: address of each processor's KPCR.
    """
    symbol = image.symbols
    kprcbs = [address + KPRCB_OFFSET for address in processor_blocks]
    block = symbol["KdDebuggerDataBlock"]
    for name, content in (
        ("KdpDebuggerDataListHead", struct.pack("<QQ", block, block)),
        ("KdDebuggerDataBlock", _block(image)),
        ("NtBuildLab", BUILD_LAB.encode("ascii") + b"\0"),
        ("KeTimeIncrement", struct.pack("<Q", TICK)),
        ("MmNumberOfPhysicalPages", struct.pack("<Q", PHYSICAL_PAGES)),
        ("MmHighestPhysicalPage", struct.pack("<Q", PHYSICAL_PAGES - 1)),
        ("KiProcessorBlock", struct.pack(f"<{len(kprcbs)}Q", *kprcbs)),
    ):
        memory.store(symbol[name], content)


def _block(image: KernelImage) -> bytes:
    symbol, head = image.symbols, image.symbols["KdpDebuggerDataListHead"]
    processor = KPCR.offset
    return KDDEBUGGER_DATA64.pack(
        {
            "List": (head, head),
            "OwnerTag": b"KDBG",
            "Size": KDDEBUGGER_DATA64.size,
            "KernBase": image.base,
            "BreakpointWithStatus": symbol["DbgBreakPointWithStatus"],
            "PaeEnabled": 1,
            "PsLoadedModuleList": symbol["PsLoadedModuleList"],
            "PsActiveProcessHead": symbol["PsActiveProcessHead"],
            "KiBugcheckData": symbol["KiBugCheckData"],
            "MmPageSize": 0x1000,
            "NtBuildLab": symbol["NtBuildLab"],
            "KiProcessorBlock": symbol["KiProcessorBlock"],
            "CmNtCSDVersion": symbol["CmNtCSDVersion"],
            "OffsetKThreadNextProcessor": ETHREAD.offset("NextProcessor"),
            "OffsetKThreadTeb": ETHREAD.offset("Teb"),
            "OffsetKThreadKernelStack": ETHREAD.offset("KernelStack"),
            "OffsetKThreadInitialStack": ETHREAD.offset("InitialStack"),
            "OffsetKThreadApcProcess": ETHREAD.offset("ApcState.Process"),
            "OffsetKThreadState": ETHREAD.offset("State"),
            "OffsetKThreadStackLimit": ETHREAD.offset("StackLimit"),
            "OffsetKThreadStackBase": ETHREAD.offset("StackBase"),
            "OffsetKThreadWaitReason": ETHREAD.offset("WaitReason"),
            "SizeEProcess": EPROCESS.size,
            "OffsetEprocessPeb": EPROCESS.offset("Peb"),
            "OffsetEprocessParentCID": EPROCESS.offset("InheritedFromUniqueProcessId"),
            "OffsetEprocessDirectoryTableBase": EPROCESS.offset("DirectoryTableBase"),
            "SizePrcb": SIZE_OF_KPRCB,
            "OffsetPrcbCurrentThread": processor("Prcb.CurrentThread") - KPRCB_OFFSET,
            "OffsetPrcbIdleThread": processor("Prcb.IdleThread") - KPRCB_OFFSET,
            "OffsetPrcbMhz": processor("Prcb.MHz") - KPRCB_OFFSET,
            "OffsetPrcbCpuType": processor("Prcb.CpuType") - KPRCB_OFFSET,
            "OffsetPrcbVendorString": processor("Prcb.VendorString") - KPRCB_OFFSET,
            "OffsetPrcbMaxBreakpoints": processor("Prcb.MaxBreakpoints") - KPRCB_OFFSET,
            "OffsetPrcbNumber": processor("Prcb.Number") - KPRCB_OFFSET,
            "OffsetPrcbProcStateContext": processor("Prcb.ProcessorState.ContextFrame") - KPRCB_OFFSET,
            "OffsetPrcbProcStateSpecialReg": processor("Prcb.ProcessorState.SpecialRegisters") - KPRCB_OFFSET,
            "SizeEThread": ETHREAD.size,
            "SizePcr": KPCR.size,
            "OffsetPcrSelfPcr": processor("Self"),
            "OffsetPcrCurrentPrcb": processor("CurrentPrcb"),
            "OffsetPcrContainedPrcb": KPRCB_OFFSET,
            "GdtR0Code": _CODE_SELECTOR,
            "GdtR0Data": 0x18,
            "GdtR3Code": 0x33,
            "GdtR3Data": 0x2B,
            "GdtR3Teb": 0x53,
            "GdtTss": _TSS_SELECTOR,
            "Gdt64R3CmCode": 0x23,
            "Gdt64R3CmTeb": 0x53,
            "KeTimeIncrement": symbol["KeTimeIncrement"],
            "KeBugCheckCallbackListHead": symbol["KeBugCheckCallbackListHead"],
            "PspCidTable": symbol["PspCidTable"],
            "MmHighestPhysicalPage": symbol["MmHighestPhysicalPage"],
            "MmNumberOfPhysicalPages": symbol["MmNumberOfPhysicalPages"],
            "MmUnloadedDrivers": symbol["MmUnloadedDrivers"],
            "MmLastUnloadedDriver": symbol["MmLastUnloadedDriver"],
            "KeLoaderBlock": symbol["KeLoaderBlock"],
        }
    )
