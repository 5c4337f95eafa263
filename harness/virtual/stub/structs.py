"""What a debugger reads first, in the virtual target's memory: KDDEBUGGER_DATA64 and all it points to.

``GetVersion64`` names the list head; its Flink leads to the block (tag ``KDBG``), the block to the module and
process lists, the processors, the bugcheck data and the build string. All of it is memory of the target, so
``db``, ``dt`` and a debugger's own walks see what a Windows 10 1903 kernel would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.virtual.interfaces import KernelView
from harness.virtual.windows.layout import Value
from harness.virtual.windows.symbols18362 import (
    BUILD_LAB,
    BUILD_NUMBER,
    EPROCESS,
    ETHREAD,
    KDDEBUGGER_DATA64,
    KPCR,
    KPRCB_OFFSET,
    KUSER_SHARED_DATA,
    SIZE_OF_KPRCB,
)

__all__ = [
    "CODE_SELECTOR",
    "DIRECTORY_TABLE_BASE",
    "KI_USER_SHARED_DATA",
    "TICK",
    "KernelData",
    "system_time_words",
]

KI_USER_SHARED_DATA: Final = 0xFFFFF78000000000
DIRECTORY_TABLE_BASE: Final = 0x1AD000
"""CR3: where the System process's PML4 lies on a freshly booted Windows 10."""
CODE_SELECTOR: Final = 0x10

TICK: Final = 156_250
"""One clock interrupt (15.625 ms) in 100 ns units: KeTimeIncrement and KeMaximumIncrement of x64 Windows."""
_TICK_MULTIPLIER: Final = 0x0FA00000
"""15.625 in 8.24 fixed point: GetTickCount is ``TickCount * TickCountMultiplier >> 24``."""

_TSS_SELECTOR: Final = 0x40

_MACHINE_AMD64: Final = 0x8664
_PRODUCT_WORKSTATION: Final = 1
_SINGLE_USER_TERMINAL_SERVER: Final = 0x100
_DEBUGGER_PRESENT: Final = 3
"""KdDebuggerEnabled: bit 0 enabled, bit 1 present."""
_SYSTEM_ROOT: Final = "C:\\Windows"
_UTC: Final = 0
_ARCHITECTURE_AMD64: Final = 9
_X87_AND_SSE: Final = 3
_PHYSICAL_PAGES: Final = 0x100000
"""4 GiB."""


def system_time_words(time: int) -> tuple[int, int, int]:
    """A KSYSTEM_TIME: LowPart, High1Time, High2Time."""
    high = time >> 32
    return time & 0xFFFFFFFF, high, high


class KernelData:
    """The fixed part, in the places that the kernel image reserves by name: written once at boot, a few words
    of it again at every stop.

    :param kernel: its memory, symbols and processor blocks.
    """

    def __init__(self, kernel: KernelView) -> None:
        self._memory = kernel.memory
        self.kernel_base = kernel.kernel_base
        self.debugger_data_list = kernel.symbol("KdpDebuggerDataListHead")
        self.debugger_data_block = kernel.symbol("KdDebuggerDataBlock")
        self.ps_loaded_module_list = kernel.symbol("PsLoadedModuleList")
        self.ps_active_process_head = kernel.symbol("PsActiveProcessHead")
        self.bugcheck_data = kernel.symbol("KiBugCheckData")
        self.breakpoint_with_status = kernel.symbol("DbgBreakPointWithStatus")
        self._symbol = kernel.symbol
        self.processor_blocks = [kernel.processor_block(cpu) for cpu in range(kernel.processors)]
        self._write_variables()
        self._write_block()
        for cpu in range(kernel.processors):
            self._write_processor_block(cpu)
        self._write_shared_data()

    def kprcb(self, cpu: int) -> int:
        """Address of a processor's KPRCB."""
        return self.processor_blocks[cpu] + KPRCB_OFFSET

    def set_bugcheck(self, code: int, parameters: tuple[int, int, int, int]) -> None:
        """KiBugCheckData: what ``.bugcheck`` shows and what DbgEng reads at a bugcheck break."""
        words = (code, *parameters)
        self._memory.write(self.bugcheck_data, b"".join(word.to_bytes(8, "little") for word in words))

    def write_times(self, *, interrupt_time: int, system_time: int) -> None:
        """Put the two clocks into KUSER_SHARED_DATA. Units: 100 ns."""
        self._update_shared(
            {
                "InterruptTime": system_time_words(interrupt_time),
                "SystemTime": system_time_words(system_time),
                "TickCount": system_time_words(interrupt_time // TICK),
            }
        )

    def write_processor(self, cpu: int, *, special_registers: bytes, context: bytes) -> None:
        """What a frozen processor leaves in its KPRCB: its saved state."""
        self._update_processor(
            cpu,
            {
                "Prcb.ProcessorState.SpecialRegisters": special_registers,
                "Prcb.ProcessorState.ContextFrame": context,
            },
        )

    def _write_variables(self) -> None:
        write, symbol = self._memory.write, self._symbol
        write(self.debugger_data_list, _pointers(self.debugger_data_block, self.debugger_data_block))
        write(symbol("NtBuildLab"), BUILD_LAB.encode("ascii") + b"\0")
        write(symbol("KeTimeIncrement"), _pointers(TICK))
        write(symbol("MmNumberOfPhysicalPages"), _pointers(_PHYSICAL_PAGES))
        write(symbol("MmHighestPhysicalPage"), _pointers(_PHYSICAL_PAGES - 1))
        write(symbol("KiProcessorBlock"), _pointers(*map(self.kprcb, range(len(self.processor_blocks)))))

    def _write_shared_data(self) -> None:
        self._update_shared(
            {
                "TickCountMultiplier": _TICK_MULTIPLIER,
                "TimeZoneBias": system_time_words(_UTC),
                "ImageNumberLow": _MACHINE_AMD64,
                "ImageNumberHigh": _MACHINE_AMD64,
                "NtSystemRoot": _SYSTEM_ROOT.encode("utf-16-le"),
                "NtBuildNumber": BUILD_NUMBER,
                "NtProductType": _PRODUCT_WORKSTATION,
                "ProductTypeIsValid": 1,
                "NativeProcessorArchitecture": _ARCHITECTURE_AMD64,
                "NtMajorVersion": 10,
                "NtMinorVersion": 0,
                "SuiteMask": _SINGLE_USER_TERMINAL_SERVER,
                "KdDebuggerEnabled": _DEBUGGER_PRESENT,
                "NumberOfPhysicalPages": _PHYSICAL_PAGES,
                "QpcFrequency": 10_000_000,
                "ActiveProcessorCount": len(self.processor_blocks),
                "XState.EnabledFeatures": _X87_AND_SSE,
            }
        )

    def _write_processor_block(self, cpu: int) -> None:
        address = self.processor_blocks[cpu]
        self._update_processor(
            cpu,
            {
                "Self": address,
                "CurrentPrcb": self.kprcb(cpu),
                "MajorVersion": 1,
                "MinorVersion": 1,
                "KdVersionBlock": self.debugger_data_list,
                "Prcb.MxCsr": 0x1F80,
                "Prcb.LegacyNumber": cpu,
                "Prcb.Number": cpu,
                "Prcb.CpuType": 6,
                "Prcb.CpuID": 1,
                "Prcb.MHz": 3000,
                "Prcb.MinorVersion": 1,
                "Prcb.MajorVersion": 1,
                "Prcb.VendorString": b"GenuineIntel",
                "Prcb.MaxBreakpoints": 4,
            },
        )

    def _write_block(self) -> None:
        head = self.debugger_data_list
        processor = KPCR.offset
        image = KDDEBUGGER_DATA64.pack(
            {
                "List": (head, head),
                "OwnerTag": b"KDBG",
                "Size": KDDEBUGGER_DATA64.size,
                "KernBase": self.kernel_base,
                "BreakpointWithStatus": self.breakpoint_with_status,
                "PaeEnabled": 1,
                "PsLoadedModuleList": self.ps_loaded_module_list,
                "PsActiveProcessHead": self.ps_active_process_head,
                "KiBugcheckData": self.bugcheck_data,
                "MmPageSize": 0x1000,
                "NtBuildLab": self._symbol("NtBuildLab"),
                "KiProcessorBlock": self._symbol("KiProcessorBlock"),
                "CmNtCSDVersion": self._symbol("CmNtCSDVersion"),
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
                "OffsetPrcbProcStateSpecialReg": processor("Prcb.ProcessorState.SpecialRegisters")
                - KPRCB_OFFSET,
                "SizeEThread": ETHREAD.size,
                "SizePcr": KPCR.size,
                "OffsetPcrSelfPcr": processor("Self"),
                "OffsetPcrCurrentPrcb": processor("CurrentPrcb"),
                "OffsetPcrContainedPrcb": KPRCB_OFFSET,
                "GdtR0Code": CODE_SELECTOR,
                "GdtR0Data": 0x18,
                "GdtR3Code": 0x33,
                "GdtR3Data": 0x2B,
                "GdtR3Teb": 0x53,
                "GdtTss": _TSS_SELECTOR,
                "Gdt64R3CmCode": 0x23,
                "Gdt64R3CmTeb": 0x53,
                "KeTimeIncrement": self._symbol("KeTimeIncrement"),
                "KeBugCheckCallbackListHead": self._symbol("KeBugCheckCallbackListHead"),
                "PspCidTable": self._symbol("PspCidTable"),
                "MmHighestPhysicalPage": self._symbol("MmHighestPhysicalPage"),
                "MmNumberOfPhysicalPages": self._symbol("MmNumberOfPhysicalPages"),
                "MmUnloadedDrivers": self._symbol("MmUnloadedDrivers"),
                "MmLastUnloadedDriver": self._symbol("MmLastUnloadedDriver"),
                "KeLoaderBlock": self._symbol("KeLoaderBlock"),
            }
        )
        self._memory.write(self.debugger_data_block, image)

    def _update_processor(self, cpu: int, values: Mapping[str, Value]) -> None:
        for field, value in values.items():
            self._memory.write(self.processor_blocks[cpu] + KPCR.offset(field), KPCR.field(field, value))

    def _update_shared(self, values: Mapping[str, Value]) -> None:
        for field, value in values.items():
            address = KI_USER_SHARED_DATA + KUSER_SHARED_DATA.offset(field)
            self._memory.write(address, KUSER_SHARED_DATA.field(field, value))


def _pointers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)
