"""Stops that nobody in the target asks for: before a print, before a notify routine, at the end of a run.

They change nothing that a driver could see, so that a run that was stopped goes on as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.virtual.cpu.traps import ServedAgain
from harness.virtual.interfaces import KernelClock
from harness.virtual.kernel.system import System

__all__ = ["Stopping"]


class Stopping:
    """Stops a kernel in its debugger.

    :param break_in: runs nt!DbgBreakPointWithStatus(1).
    """

    def __init__(self, system: System, break_in: Callable[[], None]) -> None:
        self._system = system
        self._break_in = break_in

    @property
    def clock(self) -> KernelClock:
        """The target's time."""
        return self._system.clock

    @property
    def in_export(self) -> bool:
        """Driver code has called an export, which is being served."""
        return self._system.cpu.running

    def ask(self, *, before_callback: Callable[[], bool], before_bugcheck: Callable[[], bool]) -> None:
        """Have these asked from now on.

        :param before_callback: a notify routine is about to be called: whether to stop at its first
            instruction.
        :param before_bugcheck: KeBugCheckEx was called, and has done nothing so far: whether to stop there.
        """
        self._system.before_callback = before_callback
        self._system.before_bugcheck = before_bugcheck

    def stop(self) -> None:
        """Stop before the export that is served: this raises, and the export, which must have done nothing so
        far, is called again from its entry when the target goes on. Where none is served, stop in
        nt!DbgBreakPointWithStatus and return when the target goes on."""
        if self.in_export:
            raise ServedAgain
        self._break_in()
