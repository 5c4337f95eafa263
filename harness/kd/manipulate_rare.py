"""The STATE_MANIPULATE apis a debugger seldom needs: ports, MSRs, buses, searching memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.kd.layout import u16, u32, u64
from harness.kd.manipulate import Manipulate

__all__ = [
    "FillMemory",
    "GetBusData",
    "GetContextEx",
    "QueryMemory",
    "ReadIoSpace",
    "ReadIoSpaceExtended",
    "ReadMsr",
    "RestoreBreakPointEx",
    "SearchMemory",
    "SetBusData",
    "SetContextEx",
    "WriteBreakPointEx",
    "WriteIoSpace",
    "WriteIoSpaceExtended",
    "WriteMsr",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIoSpace(Manipulate):
    """Read a port of 1, 2 or 4 bytes."""

    API: ClassVar[int] = 0x3139
    api: int = u32(0, API)
    port: int = u64(16)
    size: int = u32(24)
    value: int = u32(28)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIoSpace(ReadIoSpace):
    """Write a port of 1, 2 or 4 bytes."""

    API: ClassVar[int] = 0x313A
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIoSpaceExtended(Manipulate):
    """Read from a bus's I/O space."""

    API: ClassVar[int] = 0x3144
    api: int = u32(0, API)
    size: int = u32(16)
    interface_type: int = u32(20)
    bus_number: int = u32(24)
    address_space: int = u32(28)
    port: int = u64(32)
    value: int = u32(40)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIoSpaceExtended(ReadIoSpaceExtended):
    """Write to a bus's I/O space."""

    API: ClassVar[int] = 0x3145
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBreakPointEx(Manipulate):
    """Insert several breakpoints: data is ``count`` x (address u64, handle u32, padding u32)."""

    API: ClassVar[int] = 0x3147
    api: int = u32(0, API)
    count: int = u32(16)
    continue_status: int = u32(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreBreakPointEx(WriteBreakPointEx):
    """Remove several breakpoints: data is ``count`` handles."""

    API: ClassVar[int] = 0x3148
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMsr(Manipulate):
    """Read a model-specific register."""

    API: ClassVar[int] = 0x3152
    api: int = u32(0, API)
    msr: int = u32(16)
    low: int = u32(20)
    high: int = u32(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteMsr(ReadMsr):
    """Write a model-specific register."""

    API: ClassVar[int] = 0x3153
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchMemory(Manipulate):
    """Find the pattern in data; 0xC0000225 means that it is not there."""

    API: ClassVar[int] = 0x3156
    api: int = u32(0, API)
    address: int = u64(16)
    """Request: where to begin. Reply: where it was found."""
    length: int = u64(24)
    pattern_length: int = u32(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBusData(Manipulate):
    """Read a bus's configuration space."""

    API: ClassVar[int] = 0x3157
    api: int = u32(0, API)
    bus_data_type: int = u32(16)
    bus_number: int = u32(20)
    slot_number: int = u32(24)
    offset: int = u32(28)
    length: int = u32(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBusData(GetBusData):
    """Write a bus's configuration space."""

    API: ClassVar[int] = 0x3158
    api: int = u32(0, API)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillMemory(Manipulate):
    """Fill memory with the pattern in data."""

    API: ClassVar[int] = 0x315B
    api: int = u32(0, API)
    address: int = u64(16)
    length: int = u32(24)
    """Request: bytes to fill. Reply: bytes filled."""
    flags: int = u16(28)
    """1 virtual, 2 physical."""
    pattern_length: int = u16(30)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMemory(Manipulate):
    """What kind of memory an address is."""

    API: ClassVar[int] = 0x315C
    api: int = u32(0, API)
    address: int = u64(16)
    reserved: int = u64(24)
    address_space: int = u32(32)
    """0 process, 1 session, 2 kernel."""
    flags: int = u32(36)
    """1 readable, 2 writable, 4 executable, 8 fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetContextEx(Manipulate):
    """Part of the CONTEXT; a partial copy is continued at offset + copied."""

    API: ClassVar[int] = 0x315F
    api: int = u32(0, API)
    offset: int = u32(16)
    count: int = u32(20)
    copied: int = u32(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContextEx(Manipulate):
    """Part of the CONTEXT; committed when offset + count is the total size."""

    API: ClassVar[int] = 0x3160
    api: int = u32(0, API)
    offset: int = u32(16)
    count: int = u32(20)
    copied: int = u32(24)
    """Request: total size. Reply: bytes taken."""
