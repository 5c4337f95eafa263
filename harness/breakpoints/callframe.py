"""A function's arguments, when the processor stands at its first instruction.

Conventions: Microsoft, "x64 calling convention" (RCX, RDX, R8, R9, the others behind the return address and
the four words of home space) and ``__stdcall`` (all on the stack, behind the return address).
"""

from __future__ import annotations

from typing import Final

from harness.breakpoints.targetreader import TargetReader
from harness.kd.contexts import Amd64Context, Context

__all__ = ["CallFrame", "low8", "low32"]

_HOME_WORDS: Final = 4


class CallFrame:
    """The call of a function that is about to begin.

    :param context: the processor's registers there.
    """

    def __init__(self, context: Context, reader: TargetReader) -> None:
        self._reader = reader
        if isinstance(context, Amd64Context):
            self.stack_pointer = context.rsp
            self._registers: tuple[int, ...] = (context.rcx, context.rdx, context.r8, context.r9)
        else:
            self.stack_pointer = context.esp
            self._registers = ()
        self._on_stack: tuple[int, ...] = ()

    def argument(self, number: int) -> int:
        """The argument with this number, from 0: a word of a pointer's width."""
        if number < len(self._registers):
            return self._registers[number]
        return self._stack(1 + number)

    @property
    def return_address(self) -> int:
        """Where the function returns to."""
        return self._stack(0)

    def _stack(self, number: int) -> int:
        if number >= len(self._on_stack):
            # What a call of few arguments needs is read at once.
            self._on_stack = self._reader.words(self.stack_pointer, max(number + 1, 1 + _HOME_WORDS))
        return self._on_stack[number]


def low32(value: int) -> int:
    """An argument narrower than its place: what lies above it is not defined."""
    return value & 0xFFFF_FFFF


def low8(value: int) -> int:
    """The same of a BOOLEAN."""
    return value & 0xFF
