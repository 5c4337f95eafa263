"""The processor's registers by the names debuggers use, and how the emulator numbers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from unicorn import x86_const

from harness.virtual.cpu.engine import CodeEngine

__all__ = ["SYSTEM_REGISTERS", "TRAP_FLAG", "RegisterFile"]

TRAP_FLAG: Final = 0x100
"""EFLAGS.TF: stop after one instruction."""

_GENERAL: Final = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14"),
    *("r15", "rip", "eflags", "cs", "ss", "ds", "es", "fs", "gs", "mxcsr", "gs_base"),
    *(f"xmm{n}" for n in range(16)),
)
_NUMBERS: Final = {name: getattr(x86_const, f"UC_X86_REG_{name.upper()}") for name in _GENERAL}
_TABLES: Final = {"gdtr": x86_const.UC_X86_REG_GDTR, "idtr": x86_const.UC_X86_REG_IDTR}

SYSTEM_REGISTERS: Final[Mapping[str, int]] = MappingProxyType(
    {"cr0": 0x8005_0033, "cr3": 0x001A_D000, "cr4": 0x0037_0678}
)
"""Control registers as Windows 10 runs with them. The emulator's own have no say: its memory is flat."""


class RegisterFile:
    """Registers of the one emulated processor, by name.

    ``cr2`` and ``cr8`` (the last faulting address, the IRQL) are kept here, because the emulator does not.
    The debug registers are :class:`~harness.virtual.cpu.debugregisters.DebugRegisters`.
    """

    def __init__(self, engine: CodeEngine) -> None:
        self._engine = engine
        self._system = dict(SYSTEM_REGISTERS)
        self.cr2 = 0
        self._cr8 = 0
        self.raised: Callable[[int], None] = lambda _level: None
        """Called when CR8, the IRQL, has become higher, with what it is now."""

    @property
    def cr8(self) -> int:
        """The IRQL."""
        return self._cr8

    @cr8.setter
    def cr8(self, value: int) -> None:
        before, self._cr8 = self._cr8, value
        if value > before:
            self.raised(value)

    def __getitem__(self, name: str) -> int:
        return int(self._engine.reg_read(_NUMBERS[name]))

    def __setitem__(self, name: str, value: int) -> None:
        self._engine.reg_write(_NUMBERS[name], value)

    def all(self) -> dict[str, int]:
        """Every register."""
        values = {name: self[name] for name in _GENERAL}
        for name, number in _TABLES.items():
            _, values[name], values[f"{name}_limit"], _ = self._engine.reg_read(number)
        values.update(self._system, cr2=self.cr2, cr8=self.cr8, tr=0x40)
        return values

    def update(self, values: Mapping[str, int]) -> None:
        """Set those of ``values`` that software can set; descriptor tables and selectors stay as they are.

        :raises KeyError: no register has that name.
        """
        for name, value in values.items():
            if name in ("cr2", "cr8"):
                setattr(self, name, value)
            elif name in self._system:
                self._system[name] = value
            elif name in ("cs", "ss", "ds", "es", "fs", "gs", "tr") or name.startswith(("gdtr", "idtr")):
                continue
            else:
                self[name] = value
