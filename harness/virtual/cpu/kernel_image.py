"""A synthetic ntoskrnl.exe: a real PE image in the target's memory.

Debuggers read its headers and its export directory and so resolve ``nt!DbgPrint``; drivers import from
it. Every exported function is a stub that traps into Python, except a few that are real instructions. Its
data section reserves, by name, what debuggers expect to find in a kernel.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from harness.virtual.cpu.machine_code import (
    BREAK_INSTRUCTION,
    STUB_SIZE,
    TRANSFER_SIZE,
    call_gate,
    guard_routine,
    service_gate,
    stub,
)
from harness.virtual.windows.symbols18362 import ETHREAD

__all__ = [
    "EXPORTED_DATA",
    "GUARD_SERVICE",
    "KERNEL_BASE",
    "RESERVED_DATA",
    "KernelImage",
    "build_kernel_image",
]

KERNEL_BASE: Final = 0xFFFFF802_10000000
_TIMESTAMP: Final = 0x5C8F3A5D
"""2019-03-18, the build date of 18362.1."""

READ_AHEAD: Final = 0x100
"""Readable bytes behind every symbol: DbgEng pads small reads to 0x80."""

RESERVED_DATA: Final[Mapping[str, int]] = MappingProxyType(
    {
        "PsLoadedModuleList": 0x10,
        "KdDebuggerDataBlock": 0x400,
        "KdpDebuggerDataListHead": 0x10,
        "KdVersionBlock": 0x28,
        "KiBugCheckData": 0x28,
        "KiBugCheckDriver": 0x08,
        "PsActiveProcessHead": 0x10,
        "PspCidTable": 0x08,
        "KiProcessorBlock": 0x200,
        "NtBuildLab": 0x80,
        "CmNtCSDVersion": 0x08,
        "KdPrintCircularBuffer": 0x1000,
        "KdPrintWritePointer": 0x08,
        "KdPrintRolloverCount": 0x08,
        "KdpContext": 0x40,
        "KeBugCheckCallbackListHead": 0x10,
        "MmUnloadedDrivers": 0x08,
        "MmLastUnloadedDriver": 0x08,
        "KeLoaderBlock": 0x08,
        "KeTimeIncrement": 0x08,
        "MmHighestPhysicalPage": 0x08,
        "MmNumberOfPhysicalPages": 0x08,
        "ExceptionRecord": 0x98,
        "ContextRecord": 0x4D0,
        "NlsUnicodeToAnsiData": 0x08,
    }
)
"""Data symbols, with their size, beside those that drivers ask for."""
EXPORTED_DATA: Final = frozenset({"PsLoadedModuleList"})
"""Those of them that Windows exports."""

_PAGE: Final = 0x1000
_HEADERS: Final = 0x1000
_TEXT: Final = 0x1000
_CHECKSUM_AT: Final = 0x80 + 24 + 64
"""Offset of IMAGE_OPTIONAL_HEADER64.CheckSum: behind the DOS header, the signature and the file header."""
_GATES: Final = 0x300
"""Room for the gates and the guard's routines."""
_GUARD_SIZE: Final = 0x40
_LOAD_OF_RCX: Final = b"\x48\x8b\x81"
"""``mov rax, [rcx+disp32]`` without the displacement."""
_CLIENT_ID: Final = ETHREAD.offset("Cid")
_REAL_CODE: Final = {
    "DbgBreakPoint": b"\xcc\xc3",
    "DbgBreakPointWithStatus": b"\xcc\xc3",
    "__chkstk": b"\xc3",
    "PsGetThreadProcessId": _LOAD_OF_RCX + struct.pack("<i", _CLIENT_ID) + b"\xc3",
    "PsGetThreadId": _LOAD_OF_RCX + struct.pack("<i", _CLIENT_ID + 8) + b"\xc3",
}
"""``int3; ret`` and ``ret``: what must keep registers or stop in the debugger. The two that load a thread's
CLIENT_ID are what debuggers without symbols learn its place from."""
GUARD_SERVICE: Final = "KiIsIndirectCallTarget"
"""The service that the control-flow guard's routines ask."""
_GUARDS: Final = {"_guard_check_icall": False, "_guard_dispatch_icall": True}
"""Those routines, and whether they jump to the target."""


@dataclass(frozen=True)
class KernelImage:
    """What is mapped, and where in it things lie."""

    base: int
    size: int
    checksum: int
    timestamp: int
    entry_point: int
    sections: tuple[tuple[int, bytes, str], ...]
    """Address, whole pages, protection."""
    symbols: Mapping[str, int]
    """Exports and reserved data."""
    functions: tuple[str, ...]
    """Trapping exports; the index is the number the stub passes."""
    transfer: int
    call_gate: int
    behind_call: int
    """Nothing ever arrives there: a call that is done has stopped before."""
    service_gate: int
    service_trap: int


def _pages(size: int) -> int:
    return (size + _PAGE - 1) & ~(_PAGE - 1)


@functools.cache
def build_kernel_image(
    functions: tuple[str, ...], data: tuple[tuple[str, int], ...], unexported: frozenset[str] = frozenset()
) -> KernelImage:
    """The image with these exported functions and data (name, bytes), always at :data:`KERNEL_BASE`.

    :param unexported: functions that lie in the image and are not in its export directory: another module's.
    """
    traps = tuple(name for name in functions if name not in _REAL_CODE)
    text_size = _pages(_GATES + (len(traps) + len(_REAL_CODE)) * STUB_SIZE)
    data_rva = _TEXT + text_size
    transfer = KERNEL_BASE + data_rva
    symbols: dict[str, int] = {}
    rva = data_rva + TRANSFER_SIZE + READ_AHEAD
    for name, size in (*RESERVED_DATA.items(), *data):
        symbols[name] = KERNEL_BASE + rva
        rva += (size + READ_AHEAD + 15) & ~15
    data_size = _pages(rva - data_rva)

    text = bytearray()
    for name, code in _REAL_CODE.items():
        symbols[name] = KERNEL_BASE + _TEXT + len(text)
        text += code.ljust(STUB_SIZE, b"\xcc")
    call_address = KERNEL_BASE + _TEXT + len(text)
    code, behind_call = call_gate(call_address, transfer)
    text += code.ljust((len(code) + 15) & ~15, b"\xcc")
    service_address = KERNEL_BASE + _TEXT + len(text)
    code, service_trap = service_gate(service_address, transfer, symbols["DbgBreakPointWithStatus"])
    text += code.ljust((len(code) + 15) & ~15, b"\xcc")
    for number, name in enumerate(traps):
        symbols[name] = KERNEL_BASE + _TEXT + len(text)
        text += stub(symbols[name], number, service_address)
    for name, dispatches in _GUARDS.items() if GUARD_SERVICE in traps else ():
        symbols[name] = KERNEL_BASE + _TEXT + len(text)
        code = guard_routine(symbols[name], symbols[GUARD_SERVICE], dispatches=dispatches)
        text += code.ljust(_GUARD_SIZE, BREAK_INSTRUCTION)

    edata_rva = data_rva + data_size
    exported = sorted(
        (name, symbols[name] - KERNEL_BASE) for name in {*functions, *EXPORTED_DATA, *dict(data)} - unexported
    )
    edata = _export_directory(edata_rva, exported)
    size = edata_rva + _pages(len(edata))
    sections = (
        (b".text", _TEXT, bytes(text), text_size, 0x6000_0020),
        (b".data", data_rva, b"", data_size, 0xC000_0040),
        (b".edata", edata_rva, edata, _pages(len(edata)), 0x4000_0040),
    )
    headers = bytearray(_headers(sections, size, edata_rva, len(edata)))
    checksum = _checksum((bytes(headers), bytes(text), edata), size)
    headers[_CHECKSUM_AT : _CHECKSUM_AT + 4] = checksum.to_bytes(4, "little")
    return KernelImage(
        base=KERNEL_BASE,
        size=size,
        checksum=checksum,
        timestamp=_TIMESTAMP,
        entry_point=service_address,
        sections=(
            (KERNEL_BASE, bytes(headers).ljust(_HEADERS, b"\0"), "r"),
            (KERNEL_BASE + _TEXT, bytes(text).ljust(text_size, b"\xcc"), "rx"),
            (KERNEL_BASE + data_rva, bytes(data_size), "rw"),
            (KERNEL_BASE + edata_rva, edata.ljust(_pages(len(edata)), b"\0"), "r"),
        ),
        symbols=MappingProxyType(symbols),
        functions=traps,
        transfer=transfer,
        call_gate=call_address,
        behind_call=behind_call,
        service_gate=service_address,
        service_trap=service_trap,
    )


def _checksum(parts: tuple[bytes, ...], size: int) -> int:
    """IMAGE_OPTIONAL_HEADER.CheckSum: 16-bit words added with their carries, plus the size (Microsoft,
    CheckSumMappedFile). A debugger warns of an image without one."""
    total = 0
    for part in parts:
        padded = part + bytes(len(part) % 2)
        total += sum(struct.unpack(f"<{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + size


def _export_directory(rva: int, exported: list[tuple[str, int]]) -> bytes:
    """IMAGE_EXPORT_DIRECTORY with its three tables and the names; ``exported`` is sorted by name."""
    count = len(exported)
    addresses_at = rva + 40
    names_at = addresses_at + 4 * count
    ordinals_at = names_at + 4 * count
    strings_at = ordinals_at + 2 * count
    strings = b"ntoskrnl.exe\0"
    names = []
    for name, _ in exported:
        names.append(strings_at + len(strings))
        strings += name.encode("ascii") + b"\0"
    directory = struct.pack(
        "<IIHHIIIIIII",
        *(0, _TIMESTAMP, 0, 0, strings_at, 1, count, count, addresses_at, names_at, ordinals_at),
    )
    tables = struct.pack(f"<{count}I{count}I{count}H", *(a for _, a in exported), *names, *range(count))
    return directory + tables + strings


def _headers(
    sections: tuple[tuple[bytes, int, bytes, int, int], ...], size: int, edata_rva: int, edata_size: int
) -> bytes:
    """DOS header, PE signature, file header, optional header and section table (Microsoft, PE Format)."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    file_header = struct.pack("<HHIIIHH", 0x8664, len(sections), _TIMESTAMP, 0, 0, 0xF0, 0x22)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(0x20B, 14, 20, sections[0][3], sections[1][3], 0, sections[0][1], sections[0][1]),
        *(KERNEL_BASE, _PAGE, _PAGE),
        *(10, 0, 10, 0, 10, 0, 0),
        *(size, _HEADERS, 0, 1, 0),
        *(0x80000, 0x2000, 0x100000, 0x1000, 0, 16),
    )
    directories = struct.pack("<II", edata_rva, edata_size).ljust(16 * 8, b"\0")
    table = b"".join(
        name.ljust(8, b"\0") + struct.pack("<IIIIIIHHI", virtual, rva, virtual, rva, 0, 0, 0, 0, flags)
        for name, rva, _, virtual, flags in sections
    )
    return dos.ljust(0x80, b"\0") + b"PE\0\0" + file_header + optional + directories + table
