"""The debug registers: breakpoints of the processor, before an instruction or behind an access to data.

What they mean is Intel SDM vol. 3, 17.2. Each processor has its own; the emulator's take no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import unicorn

from harness.virtual.cpu.engine import CodeEngine
from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.watchedmemory import Accessed

__all__ = ["RESUME_FLAG", "SINGLE_STEPPED", "BreakpointHit", "DebugRegisters", "HardwareBreakpoints"]

RESUME_FLAG: Final = 0x1_0000
"""EFLAGS.RF: the next instruction is executed whatever breakpoint lies there."""
SINGLE_STEPPED: Final = 1 << 14
"""DR6.BS."""
_ADDRESSES: Final = ("dr0", "dr1", "dr2", "dr3")
_DR6_FIXED, _DR6_SETTABLE = 0xFFFF_0FF0, 0xE00F
_DR7_FIXED, _DR7_SETTABLE = 0x400, 0xFFFF_2BFF
_EXECUTE, _WRITE, _PORT = 0, 1, 2
_LENGTHS: Final = (1, 2, 8, 4)
"""Bytes, by DR7.LEN."""


class _Breakpoint(NamedTuple):
    kind: int
    """DR7.R/W."""
    low: int
    high: int
    status: int
    """DR6.B0 to B3."""


class BreakpointHit(NamedTuple):
    """The code reached hardware breakpoints."""

    status: int
    """Which, as in DR6."""
    access: Accessed | None
    """The access behind which the code is to stop; None: it stands before an instruction."""


class DebugRegisters:
    """One processor's: ``dr0`` to ``dr3``, ``dr6`` and ``dr7``."""

    def __init__(self) -> None:
        self._values = {**dict.fromkeys(_ADDRESSES, 0), "dr6": _DR6_FIXED, "dr7": _DR7_FIXED}

    def all(self) -> dict[str, int]:
        """Every one of them, by name."""
        return dict(self._values)

    def update(self, values: Mapping[str, int]) -> None:
        """Set those that ``values`` has; bits that are fixed stay as they are."""
        changes = {name: values[name] for name in self._values if name in values}
        if "dr6" in changes:
            changes["dr6"] = changes["dr6"] & _DR6_SETTABLE | _DR6_FIXED
        if "dr7" in changes:
            changes["dr7"] = changes["dr7"] & _DR7_SETTABLE | _DR7_FIXED
        self._values.update(changes)

    def note(self, status: int) -> None:
        """Why the processor stopped, in DR6; it is never cleared by the processor."""
        self._values["dr6"] |= status

    def breakpoints(self) -> list[_Breakpoint]:
        """Those that are enabled, locally or globally; those of I/O ports are not served."""
        dr7 = self._values["dr7"]
        found = []
        for number, name in enumerate(_ADDRESSES):
            kind, length = dr7 >> 16 + 4 * number & 3, _LENGTHS[dr7 >> 18 + 4 * number & 3]
            if dr7 >> 2 * number & 3 and kind != _PORT:
                low = self._values[name] & -length
                found.append(_Breakpoint(kind, low, low + length, 1 << number))
        return found


class HardwareBreakpoints:
    """The debug registers of all processors, and what stops the code at their breakpoints.

    Where no breakpoint is enabled nothing is hooked, and nothing costs.

    :param stop: stops the code that runs.
    """

    def __init__(
        self, engine: CodeEngine, memory: Memory, stop: Callable[[BreakpointHit], None], *, processors: int
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._stop = stop
        self._registers = tuple(DebugRegisters() for _ in range(processors))
        self._hooks: list[int] = []
        self._armed: list[_Breakpoint] = []
        self.processor = 0
        """The one whose code runs."""
        self.passed: int | None = None
        """Where the next instruction lies if nothing is to stop before it."""
        self.muted = False
        """Nothing stops anywhere."""

    @property
    def registers(self) -> DebugRegisters:
        """Those of the processor whose code runs."""
        return self._registers[self.processor]

    def of(self, processor: int) -> DebugRegisters:
        """That processor's."""
        return self._registers[processor]

    def arm(self) -> None:
        """The registers were changed: take what is enabled now."""
        armed = sorted({breakpoint for each in self._registers for breakpoint in each.breakpoints()})
        if armed == self._armed:
            return
        for hook in self._hooks:
            self._engine.hook_del(hook)
        self._armed, self._hooks = armed, []
        accesses = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        for low in sorted({each.low for each in armed if each.kind == _EXECUTE}):
            self._hooks.append(
                self._engine.hook_add(unicorn.UC_HOOK_CODE, self._on_instruction, begin=low, end=low)
            )
        if any(each.kind != _EXECUTE for each in armed):
            # An access may begin before the address: all of them are looked at.
            self._hooks.append(self._engine.hook_add(accesses, self._on_access))

    def _on_instruction(self, _uc: object, address: int, _size: int, _data: object) -> None:
        if self.muted or address == self.passed:
            self.passed = None
            return
        status = 0
        for each in self.registers.breakpoints():
            if each.kind == _EXECUTE and each.low == address:
                status |= each.status
        if status:
            self._stop(BreakpointHit(status, None))

    def _on_access(self, _uc: object, kind: int, address: int, size: int, _value: int, _data: object) -> None:
        if self.muted:
            return
        write = kind == unicorn.UC_MEM_WRITE
        status = 0
        for each in self.registers.breakpoints():
            watched = each.kind != _EXECUTE and (write or each.kind != _WRITE)
            if watched and address < each.high and each.low < address + size:
                status |= each.status
        if status:
            seen = self._memory.read(address, size)
            if len(seen) == size:  # else it faults
                self._stop(BreakpointHit(status, Accessed(address, write, seen)))
