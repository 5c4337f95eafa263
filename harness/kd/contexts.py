"""Processor state as KD carries it: CONTEXT, KSPECIAL_REGISTERS and the control report, for x64 and x86.

Layouts are those of ntddk.h and windbgkd.h. Fields without a name here (floating point, vectors) are kept in
:attr:`~harness.kd.layout.Record.unused` and survive a GetContext / SetContext round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from harness.kd.layout import Record, raw, u16, u32, u64

__all__ = [
    "CONTEXTS",
    "MACHINE_AMD64",
    "MACHINE_I386",
    "Amd64Context",
    "Amd64ControlReport",
    "Amd64SpecialRegisters",
    "Context",
    "I386Context",
    "I386ControlReport",
]

MACHINE_AMD64: Final = 0x8664
"""IMAGE_FILE_MACHINE_AMD64."""
MACHINE_I386: Final = 0x14C
"""IMAGE_FILE_MACHINE_I386."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amd64Context(Record):
    """CONTEXT of x64, 1232 bytes."""

    SIZE: ClassVar[int] = 1232
    FULL: ClassVar[int] = 0x10001F
    """CONTEXT_AMD64 with control, integer, segments, floating point and debug registers."""

    context_flags: int = u32(0x30, FULL)
    mxcsr: int = u32(0x34, 0x1F80)
    seg_cs: int = u16(0x38)
    seg_ds: int = u16(0x3A)
    seg_es: int = u16(0x3C)
    seg_fs: int = u16(0x3E)
    seg_gs: int = u16(0x40)
    seg_ss: int = u16(0x42)
    eflags: int = u32(0x44)
    dr0: int = u64(0x48)
    dr1: int = u64(0x50)
    dr2: int = u64(0x58)
    dr3: int = u64(0x60)
    dr6: int = u64(0x68)
    dr7: int = u64(0x70)
    rax: int = u64(0x78)
    rcx: int = u64(0x80)
    rdx: int = u64(0x88)
    rbx: int = u64(0x90)
    rsp: int = u64(0x98)
    rbp: int = u64(0xA0)
    rsi: int = u64(0xA8)
    rdi: int = u64(0xB0)
    r8: int = u64(0xB8)
    r9: int = u64(0xC0)
    r10: int = u64(0xC8)
    r11: int = u64(0xD0)
    r12: int = u64(0xD8)
    r13: int = u64(0xE0)
    r14: int = u64(0xE8)
    r15: int = u64(0xF0)
    rip: int = u64(0xF8)

    @property
    def program_counter(self) -> int:
        """Rip."""
        return self.rip


@dataclass(frozen=True, slots=True, kw_only=True)
class I386Context(Record):
    """CONTEXT of x86, 716 bytes."""

    SIZE: ClassVar[int] = 716

    context_flags: int = u32(0)
    dr0: int = u32(0x04)
    dr1: int = u32(0x08)
    dr2: int = u32(0x0C)
    dr3: int = u32(0x10)
    dr6: int = u32(0x14)
    dr7: int = u32(0x18)
    seg_gs: int = u32(0x8C)
    seg_fs: int = u32(0x90)
    seg_es: int = u32(0x94)
    seg_ds: int = u32(0x98)
    edi: int = u32(0x9C)
    esi: int = u32(0xA0)
    ebx: int = u32(0xA4)
    edx: int = u32(0xA8)
    ecx: int = u32(0xAC)
    eax: int = u32(0xB0)
    ebp: int = u32(0xB4)
    eip: int = u32(0xB8)
    seg_cs: int = u32(0xBC)
    eflags: int = u32(0xC0)
    esp: int = u32(0xC4)
    seg_ss: int = u32(0xC8)

    @property
    def program_counter(self) -> int:
        """Eip."""
        return self.eip


Context: TypeAlias = Amd64Context | I386Context

CONTEXTS: Final[dict[int, type[Context]]] = {MACHINE_AMD64: Amd64Context, MACHINE_I386: I386Context}
"""PE machine type → CONTEXT record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amd64SpecialRegisters(Record):
    """KSPECIAL_REGISTERS of x64 (control space selector 2), 0xE0 bytes; older hosts read only the first
    0xA8."""

    SIZE: ClassVar[int] = 0xE0

    cr0: int = u64(0x00)
    cr2: int = u64(0x08)
    cr3: int = u64(0x10)
    cr4: int = u64(0x18)
    kernel_dr0: int = u64(0x20)
    kernel_dr1: int = u64(0x28)
    kernel_dr2: int = u64(0x30)
    kernel_dr3: int = u64(0x38)
    kernel_dr6: int = u64(0x40)
    kernel_dr7: int = u64(0x48)
    gdtr_limit: int = u16(0x56)
    gdtr_base: int = u64(0x58)
    idtr_limit: int = u16(0x66)
    idtr_base: int = u64(0x68)
    tr: int = u16(0x70)
    ldtr: int = u16(0x72)
    mxcsr: int = u32(0x74)
    debug_control: int = u64(0x78)
    cr8: int = u64(0xA0)
    msr_gs_base: int = u64(0xA8)
    msr_star: int = u64(0xB8)
    msr_lstar: int = u64(0xC0)
    xcr0: int = u64(0xD8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amd64ControlReport(Record):
    """The 48 bytes at offset 192 of a state change, x64."""

    SIZE: ClassVar[int] = 48

    dr6: int = u64(0, 0xFFFF0FF0)
    dr7: int = u64(8, 0x400)
    eflags: int = u32(16)
    instruction_count: int = u16(20)
    """Valid bytes in :attr:`instruction_stream`."""
    report_flags: int = u16(22, 3)
    """1 segments are valid, 2 they are the standard ones."""
    instruction_stream: bytes = raw(24, 16)
    """Code at the program counter."""
    seg_cs: int = u16(40, 0x10)
    seg_ds: int = u16(42, 0x2B)
    seg_es: int = u16(44, 0x2B)
    seg_fs: int = u16(46, 0x53)


@dataclass(frozen=True, slots=True, kw_only=True)
class I386ControlReport(Record):
    """The control report of an x86 target, 40 bytes."""

    SIZE: ClassVar[int] = 40

    dr6: int = u32(0, 0xFFFF0FF0)
    dr7: int = u32(4, 0x400)
    instruction_count: int = u16(8)
    report_flags: int = u16(10, 1)
    instruction_stream: bytes = raw(12, 16)
    seg_cs: int = u16(28, 8)
    seg_ds: int = u16(30, 0x23)
    seg_es: int = u16(32, 0x23)
    seg_fs: int = u16(34, 0x30)
    eflags: int = u32(36)
