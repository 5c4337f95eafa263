"""CONTEXT and DISPATCHER_CONTEXT of AMD64 (winnt.h), to and from registers by name."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from harness.virtual.windows.layout import Layout

__all__ = [
    "CONTEXT_SIZE",
    "DISPATCHER_CONTEXT",
    "EXCEPTION_FLAGS",
    "code_registers",
    "context_record",
    "registers_of",
]

CONTEXT_SIZE: Final = 0x4D0
EXCEPTION_FLAGS: Final = 4
"""Offset of EXCEPTION_RECORD.ExceptionFlags."""
DISPATCHER_CONTEXT: Final = Layout(
    "_DISPATCHER_CONTEXT",
    0x50,
    {
        "ControlPc": (0x00, "Q"),
        "ImageBase": (0x08, "Q"),
        "FunctionEntry": (0x10, "Q"),
        "EstablisherFrame": (0x18, "Q"),
        "TargetIp": (0x20, "Q"),
        "ContextRecord": (0x28, "Q"),
        "LanguageHandler": (0x30, "Q"),
        "HandlerData": (0x38, "Q"),
        "HistoryTable": (0x40, "Q"),
        "ScopeIndex": (0x48, "I"),
    },
)

_CONTEXT_ALL: Final = 0x10001F
_SYSTEM_FIELDS: Final = (
    *((0x38 + 2 * i, "H", n) for i, n in enumerate(("cs", "ds", "es", "fs", "gs", "ss"))),
    *((0x48 + 8 * i, "Q", n) for i, n in enumerate(("dr0", "dr1", "dr2", "dr3", "dr6", "dr7"))),
)
_FIELDS: Final = (
    (0x34, "I", "mxcsr"),
    (0x44, "I", "eflags"),
    *((0x78 + 8 * i, "Q", n) for i, n in enumerate(("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"))),
    *((0xB8 + 8 * i, "Q", f"r{8 + i}") for i in range(8)),
    (0xF8, "Q", "rip"),
)
"""What code may change of its own; the rest belongs to the processor."""
_XMM: Final = 0x1A0


def code_registers(registers: Mapping[str, int]) -> dict[str, int]:
    """Those that code may change of its own."""
    names = (*(name for _, _, name in _FIELDS), *(f"xmm{number}" for number in range(16)))
    return {name: registers[name] for name in names}


def context_record(registers: Mapping[str, int]) -> bytes:
    """The CONTEXT for a set of registers; what the set lacks is 0."""
    record = bytearray(CONTEXT_SIZE)
    struct.pack_into("<I", record, 0x30, _CONTEXT_ALL)
    for offset, form, name in (*_SYSTEM_FIELDS, *_FIELDS):
        struct.pack_into("<" + form, record, offset, registers.get(name, 0))
    for number in range(16):
        at = _XMM + 16 * number
        record[at : at + 16] = registers[f"xmm{number}"].to_bytes(16, "little")
    return bytes(record)


def registers_of(record: bytes) -> dict[str, int]:
    """The registers in a CONTEXT that code may change."""
    values = {name: int(struct.unpack_from("<" + form, record, offset)[0]) for offset, form, name in _FIELDS}
    for number in range(16):
        at = _XMM + 16 * number
        values[f"xmm{number}"] = int.from_bytes(record[at : at + 16], "little")
    return values
