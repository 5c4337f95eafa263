"""What lies on the stacks of a halted target's processors."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from harness.debuggers.native.registers import Registers
from harness.debuggers.native.targetmemory import PIECE, TargetMemory, UnreadableMemory
from harness.errors import UsageError
from harness.kd.contexts import Amd64Context

__all__ = ["MAX_PROCESSORS", "STACK_BYTES", "processors_stacks", "stack_words"]

STACK_BYTES: Final = 0x2000
"""How much of a stack is read; a kernel stack of Windows has 0x6000 bytes (x64) or 0x3000 (x86)."""
MAX_PROCESSORS: Final = 64
"""Processors whose stacks are read."""


def stack_words(registers: Registers, memory: TargetMemory, processor: int) -> tuple[int, ...]:
    """A processor's program counter, then the words on its stack, the innermost first, as far as the target
    gives them and at most :data:`STACK_BYTES`; empty where it does not give its registers."""
    try:
        context = registers.read(processor)
    except (UnreadableMemory, UsageError):
        return ()
    width, pointer = (8, context.rsp) if isinstance(context, Amd64Context) else (4, context.esp)
    data = b""
    try:
        while len(data) < STACK_BYTES:
            # No piece crosses a page: the one behind it may be the stack's end.
            data += memory.read(pointer + len(data), PIECE - (pointer + len(data)) % PIECE)
    except UnreadableMemory:
        pass  # the end of the stack, or not mapped at all
    whole = len(data) - len(data) % width
    words = (int.from_bytes(data[at : at + width], "little") for at in range(0, whole, width))
    return (memory.canonical(context.program_counter), *map(memory.canonical, words))


def processors_stacks(
    registers: Registers, memory: TargetMemory, first: int, processors: int, *, timeout: float
) -> list[tuple[int, ...]]:
    """The same of every processor, beginning with ``first``, as far as ``timeout`` seconds allow; without
    those that give nothing."""
    deadline = perf_counter() + timeout
    stacks = [stack_words(registers, memory, first)]
    for number in range(min(processors, MAX_PROCESSORS)):
        if number != first and perf_counter() < deadline:
            stacks.append(stack_words(registers, memory, number))
    return [words for words in stacks if words]
