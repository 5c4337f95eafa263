"""STATE_MANIPULATE packets (type 2): what the host asks a halted target to do.

Request and reply share one layout, because the target edits the request in place and sends it back: a 56-byte
header with a 40-byte union, then data. So there is one record an api; a reply is
``dataclasses.replace(request, status=..., data=...)`` and echoes everything it does not change.

Names and numbers are those of windbgkd.h (DBGKD_MANIPULATE_STATE64). The apis a debugger seldom needs are in
:mod:`harness.kd.manipulate_rare`; :mod:`harness.kd.registry` decodes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.kd.layout import Record, u8, u16, u32, u64
from harness.kd.status import DBG_CONTINUE, STATUS_PENDING

__all__ = [
    "CauseBugCheck",
    "ClearAllInternalBreakpoints",
    "Continue",
    "Continue2",
    "GetContext",
    "GetVersion64",
    "Manipulate",
    "MemoryTransfer",
    "ReadControlSpace",
    "ReadPhysicalMemory",
    "ReadVirtualMemory",
    "RebootRequest",
    "RestoreBreakPoint",
    "SetContext",
    "SwitchProcessor",
    "WriteBreakPoint",
    "WriteControlSpace",
    "WritePhysicalMemory",
    "WriteVirtualMemory",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manipulate(Record):
    """The header every api has. Used as it is for an api without a record of its own."""

    SIZE: ClassVar[int] = 56
    API: ClassVar[int] = 0
    NO_REPLY: ClassVar[bool] = False
    """The target only acknowledges such a request."""

    api: int = u32(0)
    processor_level: int = u16(4)
    processor: int = u16(6)
    status: int = u32(8, STATUS_PENDING)
    """NTSTATUS of a reply; in requests 0x103 or garbage."""

    @property
    def succeeded(self) -> bool:
        """A reply's status is no error (bit 31 clear)."""
        return self.status < 0x80000000


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTransfer(Manipulate):
    """Common layout of the memory and control space transfers."""

    address: int = u64(16)
    """Virtual or physical address; for control space the selector."""
    count: int = u32(24)
    """Bytes wanted."""
    actual: int = u32(28)
    """Bytes transferred, in the reply; a short read is legal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadVirtualMemory(MemoryTransfer):
    """Read kernel memory; the reply's data has ``actual`` bytes."""

    API: ClassVar[int] = 0x3130
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteVirtualMemory(MemoryTransfer):
    """Write the request's data; the reply carries none."""

    API: ClassVar[int] = 0x3131
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetContext(Manipulate):
    """The reply's data is the CONTEXT: 1232 bytes on x64, 716 on x86."""

    API: ClassVar[int] = 0x3132
    api: int = u32(0, API)
    context_flags: int = u32(16)
    """Ignored by targets; WinDbg sends 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContext(Manipulate):
    """The request's data is the CONTEXT; the ContextFlags inside it count, not those here."""

    API: ClassVar[int] = 0x3133
    api: int = u32(0, API)
    context_flags: int = u32(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBreakPoint(Manipulate):
    """Insert a breakpoint."""

    API: ClassVar[int] = 0x3134
    api: int = u32(0, API)
    address: int = u64(16)
    handle: int = u32(24)
    """In the reply, 1 to 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreBreakPoint(Manipulate):
    """Remove a breakpoint; an empty handle gets 0xC0000001."""

    API: ClassVar[int] = 0x3135
    api: int = u32(0, API)
    handle: int = u32(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Manipulate):
    """Let the target run; acknowledged, never answered."""

    API: ClassVar[int] = 0x3136
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)
    continue_status: int = u32(16, DBG_CONTINUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadControlSpace(MemoryTransfer):
    """Processor data by selector (``address``): 0 KPCR pointer, 1 KPRCB pointer, 2 KSPECIAL_REGISTERS,
    3 KTHREAD pointer; on x86 the address is an offset into the processor state."""

    API: ClassVar[int] = 0x3137
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteControlSpace(MemoryTransfer):
    """Write by selector, in practice 2."""

    API: ClassVar[int] = 0x3138
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootRequest(Manipulate):
    """Reboot the target; never answered."""

    API: ClassVar[int] = 0x313B
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue2(Manipulate):
    """Let the target run, with control over single stepping; acknowledged, never answered."""

    API: ClassVar[int] = 0x313C
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)
    continue_status: int = u32(16, DBG_CONTINUE)
    trace_flag: int = u32(20)
    """1 = stop after one instruction."""
    dr7: int = u64(24, 0x400)
    """On x86 a u32, followed by the two symbol addresses as u32."""
    current_symbol_start: int = u64(32, 1)
    """1 = leave unchanged."""
    current_symbol_end: int = u64(40)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPhysicalMemory(MemoryTransfer):
    """Read physical memory. In the request :attr:`actual` is the caching: 0 default, 1 cached, 2 uncached,
    3 write-combined."""

    API: ClassVar[int] = 0x313D
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePhysicalMemory(MemoryTransfer):
    """Write physical memory; :attr:`actual` as in :class:`ReadPhysicalMemory`."""

    API: ClassVar[int] = 0x313E
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetVersion64(Manipulate):
    """Who the target is (DBGKD_GET_VERSION64), in the reply."""

    API: ClassVar[int] = 0x3146
    FLAG_MP: ClassVar[int] = 1
    FLAG_DATA_LIST: ClassVar[int] = 2
    FLAG_PTR64: ClassVar[int] = 4
    api: int = u32(0, API)
    major_version: int = u16(16)
    """Low byte 0x0F free, 0x0C checked; high byte 0 NT kernel, 4 boot debugger."""
    minor_version: int = u16(18)
    """Build number."""
    protocol_version: int = u8(20)
    secondary_version: int = u8(21)
    flags: int = u16(22)
    machine_type: int = u16(24)
    max_packet_type: int = u8(26)
    max_state_change: int = u8(27)
    max_manipulate: int = u8(28)
    simulation: int = u8(29)
    kernel_base: int = u64(32)
    ps_loaded_module_list: int = u64(40)
    debugger_data_list: int = u64(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseBugCheck(Manipulate):
    """Crash the target; never answered."""

    API: ClassVar[int] = 0x3149
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)
    bug_check_code: int = u32(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchProcessor(Manipulate):
    """Go on as ``processor``: answered by a state change from it."""

    API: ClassVar[int] = 0x3150
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearAllInternalBreakpoints(Manipulate):
    """Never answered."""

    API: ClassVar[int] = 0x315A
    NO_REPLY: ClassVar[bool] = True
    api: int = u32(0, API)
