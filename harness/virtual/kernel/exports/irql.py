"""Raising and lowering the IRQL, and what then has to run first."""

from __future__ import annotations

from harness.virtual.cpu.traps import Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.system import System

__all__ = ["lower_to", "raise_to", "signed", "with_due_interrupts"]


def signed(value: int, bits: int = 64) -> int:
    """The two's complement value of the low ``bits``."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def raise_to(system: System, level: int) -> int:
    """The IRQL is at least ``level`` from now on; what it was."""
    old = system.cpu.irql
    system.cpu.irql = max(old, level)
    return old


def lower_to(system: System, level: int, result: int = 0) -> int:
    """Lower the IRQL at the end of an export; its result."""
    system.cpu.irql = level & 0xF
    return with_due_interrupts(system, result)


def with_due_interrupts(system: System, result: int) -> int:
    """An export's result, once the processor has run the DPCs and APCs that are due at its IRQL.

    :raises Continued: there are some.
    """
    if system.interrupts_due(system.cpu.irql):
        raise Continued(_after_dpcs(system, result))
    return result


def _after_dpcs(system: System, result: int) -> Program[int]:
    """APCs come when the thread goes on."""
    yield from system.dpcs.drain()
    return result
