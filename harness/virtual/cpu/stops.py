"""Why code stopped."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from harness.virtual.cpu.debugregisters import BreakpointHit
from harness.virtual.cpu.traps import Access, TrapError
from harness.virtual.cpu.watchedmemory import Accessed

__all__ = [
    "Exhausted",
    "Faulted",
    "Interrupted",
    "IrqlLowered",
    "Stop",
    "Trapped",
]


class Interrupted(NamedTuple):
    """An exception or software interrupt of the processor."""

    vector: int
    """Intel's number: 0 divide error, 1 debug, 3 breakpoint, 6 invalid opcode, 0x29 __fastfail ..."""
    pc: int
    """Address of the instruction itself (behind it for vector 1)."""


class Faulted(NamedTuple):
    """A memory access that failed."""

    address: int
    access: Access
    present: bool
    """The page is mapped; its protection forbids the access."""
    pc: int


class Exhausted(NamedTuple):
    """The instruction budget is used up; two places where the code was seen."""

    pc: int
    later_pc: int


class Trapped(NamedTuple):
    """An export ended the call; ``caller`` is the return address into the code that called it."""

    reason: TrapError
    service: int
    caller: int


class IrqlLowered(NamedTuple):
    """The code itself lowered the IRQL, as KeLowerIrql does inline; it stands behind that instruction."""

    level: int


Stop: TypeAlias = Interrupted | Faulted | Exhausted | Trapped | IrqlLowered | Accessed | BreakpointHit
