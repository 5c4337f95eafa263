"""Where executions meet in memory: who stands aside at an access to what another one uses too.

Watched are the drivers' own sections, the pool, and the blocks of the kernel that hold device extensions;
stacks are not. What an export reads and writes for a driver is one step.

An instruction is one step for interrupts, but not for the other processors: without a LOCK prefix another one
may write between its read and its write (Intel SDM vol. 3, 9.1). So where a policy wants others to go first,
code stands either before an instruction, or behind its read; then its processor stands with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.watchedmemory import is_locked
from harness.virtual.dispatcher.policy import Point
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.execution import Execution
from harness.virtual.kernel.waits import stand

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["SharedMemory"]

MAX_REMEMBERED: Final = 100_000
"""Words of which is remembered who used them; then it begins anew."""
MAX_PAUSES: Final = 1_000
"""How often an execution stands aside at accesses between two stands in the kernel, so that one that never
ends is found all the same."""
_WORD: Final = 8
_AREA: Final = 1 << 32
_INSTRUCTION: Final = 15


class SharedMemory:
    """Which words more than one execution has used."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._used_by: dict[int, Execution | None] = {}
        """By number of the word; None: by several."""
        self._pause = 0
        self._behind_read = False
        self._places: dict[int, str] = {}

    def watch(self, bases: Iterable[int]) -> None:
        """Ask the dispatcher's policy from now on, at accesses to the 4 GB above each of the addresses."""
        watched = self._system.cpu.watched
        watched.ask = self._stops
        for base in bases:
            watched.watch(base, base + _AREA)

    def let_others(self, execution: Execution) -> Program[int]:
        """The execution that was stopped stands aside, as long as the policy said; 1 where it stands behind
        its read, else 0."""
        behind_read = self._behind_read
        execution.pauses += 1
        yield from stand(self._system, execution, self._pause, holds_processor=behind_read)
        return int(behind_read)

    def _stops(self, address: int, write: bool) -> bool:
        system = self._system
        execution, word, used_by = system.current, address // _WORD, self._used_by
        if execution is None or execution.pauses >= MAX_PAUSES:
            return False
        if used_by.get(word, execution) is execution:
            if len(used_by) >= MAX_REMEMBERED:
                used_by.clear()
            used_by[word] = execution
            return False
        used_by[word] = None
        if not system.memory.is_writable(address):
            return False
        self._behind_read = False
        self._pause = pause = system.dispatcher.stand_aside(
            Point.MEMORY_ACCESS, word, write=write, at=self._place
        )
        if not pause and not write and system.processors > 1:
            self._pause = pause = system.dispatcher.stand_aside(
                Point.MEMORY_READ, word, write=False, at=self._place
            )
            self._behind_read = pause > 0 and not self._locked()
        return pause > 0

    def _place(self) -> str:
        """Where the code is that stops."""
        address = self._system.cpu.registers["rip"]
        if address not in self._places:
            self._places[address] = self._system.place(address)
        return self._places[address]

    def _locked(self) -> bool:
        code = self._system.memory.read(self._system.cpu.registers["rip"], _INSTRUCTION)
        return is_locked(code)
