"""A target that is halted in the debugger, and the ways in which a request lets it go on."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol, TypeAlias

from harness.kd import manipulate as kd
from harness.kd.manipulate import Manipulate
from harness.virtual.interfaces import KernelMemory
from harness.virtual.stub.breakpoints import BreakpointTable
from harness.virtual.stub.paging import PhysicalMemory
from harness.virtual.stub.processorstate import ProcessorState

__all__ = ["CrashTarget", "HaltedTarget", "RebootTarget", "RequestResult", "Resume", "SwitchTo"]

_SEVERITY_WARNING: Final = 0x8000_0000
"""The least status that is none of success."""


class HaltedTarget(Protocol):
    """The halted target as the requests see it."""

    physical: PhysicalMemory
    breakpoints: BreakpointTable
    states: list[ProcessorState]
    processor: int
    """The processor that reported the stop."""

    @property
    def msrs(self) -> dict[int, int]:
        """Model specific registers of that processor, by number."""

    @property
    def memory(self) -> KernelMemory:
        """Virtual memory as the debugger is to see it."""

    def version(self) -> kd.GetVersion64:
        """The version block, in a reply record."""

    def kpcr(self, processor: int) -> int:
        """Address of that processor's KPCR."""

    def kprcb(self, processor: int) -> int:
        """Address of that processor's KPRCB."""


class Resume(NamedTuple):
    """Continue or Continue2: let the target run."""

    status: int
    trace: bool
    """Stop after one instruction."""
    dr7: int | None
    """For every processor; None: as they are."""

    @property
    def handled(self) -> bool:
        """The status is one of success, as DBG_CONTINUE is and DBG_EXCEPTION_NOT_HANDLED is not."""
        return self.status < _SEVERITY_WARNING


class SwitchTo(NamedTuple):
    """Report the stop again, as this processor."""

    processor: int


class RebootTarget(NamedTuple):
    """Start the target anew."""


class CrashTarget(NamedTuple):
    """KeBugCheck with this code."""

    code: int


RequestResult: TypeAlias = Manipulate | Resume | SwitchTo | RebootTarget | CrashTarget | None
"""A reply, a way to go on, or None for a request that is only acknowledged."""
