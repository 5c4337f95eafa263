"""The variable arguments of an export, as a caller laid them out."""

from __future__ import annotations

import struct

from harness.virtual.cpu.memory import Memory

__all__ = ["VarArgs"]


class VarArgs:
    """A variable argument list: words in registers, then in memory."""

    def __init__(self, memory: Memory, registers: tuple[int, ...], address: int) -> None:
        self._memory = memory
        self._registers = registers
        self._address = address

    def take(self, count: int) -> tuple[int, ...]:
        """The first ``count`` words; MemoryFault where the list runs out of memory."""
        missing = count - len(self._registers)
        if missing <= 0:
            return self._registers[:count]
        rest: tuple[int, ...] = struct.unpack(f"<{missing}Q", self._memory.load(self._address, 8 * missing))
        return self._registers + rest
