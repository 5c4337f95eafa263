"""Between the emulator's registers and KD's CONTEXT and KSPECIAL_REGISTERS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.kd.contexts import Amd64Context, Amd64ControlReport, Amd64SpecialRegisters

__all__ = [
    "CODE_BYTES",
    "ProcessorState",
    "context_of",
    "control_report",
    "debug_registers_of",
    "registers_of",
    "special_registers_of",
]

CODE_BYTES: Final = 16
"""DBGKD_MAXSTREAM: how much code at the program counter a state change carries."""

_WORDS: Final = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
_SEGMENTS: Final = ("cs", "ds", "es", "fs", "gs", "ss")
_DEBUG: Final = ("dr0", "dr1", "dr2", "dr3", "dr6", "dr7")
_CONTROL: Final = ("cr0", "cr2", "cr3", "cr4", "cr8")

_FLOATING_SAVE: Final = 0x100
"""CONTEXT.FltSave, an FXSAVE image."""
_SAVED_MXCSR: Final = _FLOATING_SAVE + 0x18
_SAVED_XMM: Final = _FLOATING_SAVE + 0xA0
_XCR0: Final = 3
"""x87 and SSE state enabled."""


@dataclass
class ProcessorState:
    """One halted processor, as the debugger reads and changes it."""

    context: Amd64Context
    special: Amd64SpecialRegisters
    thread: int
    """Address of the ETHREAD it runs."""
    changed: bool = False
    """The debugger wrote the context or the special registers."""


def context_of(registers: Mapping[str, int]) -> Amd64Context:
    """The CONTEXT for what :meth:`~harness.virtual.interfaces.KernelView.registers` says."""
    values: dict[str, Any] = {name: registers[name] for name in _WORDS + _DEBUG + ("eflags", "mxcsr")}
    values |= {f"seg_{name}": registers[name] for name in _SEGMENTS}
    image = bytearray(Amd64Context(context_flags=Amd64Context.FULL, **values).encode())
    image[_SAVED_MXCSR : _SAVED_MXCSR + 4] = registers["mxcsr"].to_bytes(4, "little")
    for number in range(16):
        at = _SAVED_XMM + 16 * number
        image[at : at + 16] = registers[f"xmm{number}"].to_bytes(16, "little")
    return Amd64Context.decode(bytes(image))


def registers_of(context: Amd64Context, special: Amd64SpecialRegisters) -> dict[str, int]:
    """The registers that a debugger may change: all of CONTEXT, and the control registers."""
    values = {name: int(getattr(context, name)) for name in (*_WORDS, "eflags", "mxcsr")}
    values |= {name: int(getattr(context, f"seg_{name}")) for name in _SEGMENTS}
    values |= {name: int(getattr(special, name)) for name in _CONTROL}
    image = context.encode()
    for number in range(16):
        at = _SAVED_XMM + 16 * number
        values[f"xmm{number}"] = int.from_bytes(image[at : at + 16], "little")
    return values


def debug_registers_of(special: Amd64SpecialRegisters) -> dict[str, int]:
    """The debug registers; those of CONTEXT are the user mode's."""
    return {name: int(getattr(special, f"kernel_{name}")) for name in _DEBUG}


def special_registers_of(registers: Mapping[str, int]) -> Amd64SpecialRegisters:
    """KSPECIAL_REGISTERS for the same registers."""
    values: dict[str, Any] = {name: registers[name] for name in _CONTROL}
    values |= {f"kernel_{name}": registers[name] for name in _DEBUG}
    return Amd64SpecialRegisters(
        gdtr_base=registers["gdtr"],
        gdtr_limit=registers["gdtr_limit"],
        idtr_base=registers["idtr"],
        idtr_limit=registers["idtr_limit"],
        tr=registers["tr"],
        mxcsr=registers["mxcsr"],
        msr_gs_base=registers["gs_base"],
        xcr0=_XCR0,
        **values,
    )


def control_report(state: ProcessorState, code: bytes) -> bytes:
    """The last 48 bytes of a state change's fixed part; ``code`` is what lies at the program counter."""
    context = state.context
    return Amd64ControlReport(
        dr6=state.special.kernel_dr6,
        dr7=state.special.kernel_dr7,
        eflags=context.eflags,
        instruction_count=len(code),
        instruction_stream=code.ljust(CODE_BYTES, b"\0"),
        seg_cs=context.seg_cs,
        seg_ds=context.seg_ds,
        seg_es=context.seg_es,
        seg_fs=context.seg_fs,
    ).encode()
