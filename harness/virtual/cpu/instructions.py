"""Instructions that the emulator would answer from the wrong place, served instead.

It has no local APIC, so CR8 reads as 0; and its time stamp counter is that of the computer it runs on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import unicorn

from harness.virtual.cpu.engine import CodeEngine
from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.registers import RegisterFile

__all__ = ["ServedInstructions"]

_CR8_MOVE: Final = re.compile(rb"[\x44\x45\x4c\x4d]\x0f[\x20\x22][\xc0-\xc7]", re.DOTALL)
_RDTSC: Final = re.compile(rb"\x0f\x31", re.DOTALL)
_RDTSCP: Final = re.compile(rb"\x0f\x01\xf9", re.DOTALL)
_MOVE_FROM_CR8: Final = 0x20
_REGISTERS: Final = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_DWORD: Final = 0xFFFF_FFFF


class ServedInstructions:
    """Serves ``mov reg, cr8``, ``mov cr8, reg``, ``rdtsc`` and ``rdtscp``.

    :param lowered: called when code has lowered CR8, the IRQL, with what it is now.
    """

    def __init__(
        self,
        engine: CodeEngine,
        memory: Memory,
        registers: RegisterFile,
        lowered: Callable[[int], None],
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._registers = registers
        self._lowered = lowered
        self._hooks: dict[int, list[int]] = {}
        self.time_stamp: Callable[[], int] = lambda: 0
        """What the time stamp counter shows."""
        self.processor: Callable[[], int] = lambda: 0
        """What TSC_AUX holds, which Windows sets to the processor's number."""

    def watch(self, base: int, address: int, code: bytes) -> None:
        """Serve those in ``code``, which lies at ``address`` of the image at ``base``.

        What looks like one of them but is data, or the middle of another, is never executed and so never
        served.
        """
        hooks = self._hooks.setdefault(base, [])
        served = ((_CR8_MOVE, self._on_cr8_move), (_RDTSC, self._on_rdtsc), (_RDTSCP, self._on_rdtscp))
        for pattern, serve in served:
            for match in pattern.finditer(code):
                at = address + match.start()
                hooks.append(self._engine.hook_add(unicorn.UC_HOOK_CODE, serve, begin=at, end=at))

    def forget(self, base: int) -> None:
        """The image at ``base`` goes away."""
        for hook in self._hooks.pop(base, ()):
            self._engine.hook_del(hook)

    def _on_cr8_move(self, _uc: object, address: int, size: int, _data: object) -> None:
        registers = self._registers
        rex, _, opcode, operand = self._memory.read(address, 4)
        name = _REGISTERS[(operand & 7) | (rex & 1) << 3]
        if opcode == _MOVE_FROM_CR8:
            registers[name] = registers.cr8
        else:
            before, registers.cr8 = registers.cr8, registers[name] & 0xF
            if registers.cr8 < before:
                self._lowered(registers.cr8)
        registers["rip"] = address + size

    def _on_rdtsc(self, _uc: object, address: int, size: int, _data: object) -> None:
        registers, stamp = self._registers, self.time_stamp()
        registers["rax"], registers["rdx"] = stamp & _DWORD, stamp >> 32 & _DWORD
        registers["rip"] = address + size

    def _on_rdtscp(self, uc: object, address: int, size: int, data: object) -> None:
        self._on_rdtsc(uc, address, size, data)
        self._registers["rcx"] = self.processor()
