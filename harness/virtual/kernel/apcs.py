"""APCs and alerts: what is done in a thread of somebody else's choice.

A special kernel APC runs at APC_LEVEL as soon as its thread is below that and in no guarded region; a normal
one has a kernel routine like that, and then its normal routine at PASSIVE_LEVEL, in no critical region and
not inside another one. A thread that waits leaves its wait for them and goes on waiting. A user APC ends an
alertable wait; its kernel routine runs when the thread is back in user mode, where there is no code here for
its normal routine.

Sources: Microsoft, *Types of APCs*, *Disabling APCs*, *Waits and APCs*; ReactOS, ntoskrnl/ke/apc.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.cpu.traps import MemoryFault
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.execution import DPC, Execution
from harness.virtual.kernel.objects import ThreadObject
from harness.virtual.windows.irql import APC_LEVEL, PASSIVE_LEVEL
from harness.virtual.windows.status import STATUS_ALERTED, STATUS_USER_APC

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["KERNEL_MODE", "USER_MODE", "Alertability", "Apcs", "KApc"]

KERNEL_MODE, USER_MODE = 0, 1
_NORMAL_APC: Final = "a normal kernel APC"
_POINTER: Final = 8


class KApc:
    """Offsets in KAPC."""

    THREAD: Final = 0x08
    KERNEL_ROUTINE: Final = 0x20
    RUNDOWN_ROUTINE: Final = 0x28
    NORMAL_ROUTINE: Final = 0x30
    NORMAL_CONTEXT: Final = 0x38
    FIRST: Final = 0x40
    SECOND: Final = 0x48
    MODE: Final = 0x51
    INSERTED: Final = 0x52
    SIZE: Final = 0x58


class Alertability(NamedTuple):
    """What but its object may end a wait."""

    alertable: bool = False
    mode: int = KERNEL_MODE
    """WaitMode."""


class _Queue:
    """Of one thread."""

    def __init__(self) -> None:
        self.special: list[int] = []
        self.normal: list[int] = []
        self.user: list[int] = []
        self.user_pending = False
        """The thread delivers its user APCs when it is back in user mode."""
        self.alerted = [False, False]
        """By mode."""

    @property
    def lists(self) -> tuple[list[int], ...]:
        return self.special, self.normal, self.user


class Apcs:
    """Every thread's APCs and alerts, by the address of its KTHREAD."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._queues: dict[int, _Queue] = {}

    # What drivers ask.

    def insert(self, apc: int, first: int, second: int) -> bool:
        """Queue a KAPC; False when it is queued already, or its thread has ended."""
        memory = self._system.memory
        thread, mode = memory.u64(apc + KApc.THREAD), memory.load(apc + KApc.MODE, 1)[0]
        if memory.load(apc + KApc.INSERTED, 1)[0] or not self._lives(thread):
            return False
        memory.put_u64(apc + KApc.FIRST, first)
        memory.put_u64(apc + KApc.SECOND, second)
        memory.put_u8(apc + KApc.INSERTED, 1)
        queue = self._queues.setdefault(thread, _Queue())
        if mode == USER_MODE:
            queue.user.append(apc)
        else:
            (queue.normal if memory.u64(apc + KApc.NORMAL_ROUTINE) else queue.special).append(apc)
        self._tell(thread)
        return True

    def alert(self, thread: int, mode: int) -> bool:
        """End the thread's alertable wait, or its next one; whether it was alerted already."""
        if not self._lives(thread):
            return False
        queue = self._queues.setdefault(thread, _Queue())
        was, queue.alerted[mode] = queue.alerted[mode], True
        self._tell(thread)
        return was

    def test_alert(self, mode: int) -> bool:
        """Whether the current thread was alerted; it no longer is. In user mode its APCs may come."""
        queue = self._queues.get(self._system.current_thread())
        if queue is None:
            return False
        was, queue.alerted[mode] = queue.alerted[mode], False
        if mode == USER_MODE and queue.user:
            queue.user_pending = True
        return was

    # What waits and executions ask.

    def ends_wait(self, alertability: Alertability, thread: int) -> int | None:
        """The status with which a wait of that thread ends now although its object is not signalled."""
        queue = self._queues.get(thread)
        if queue is None or not alertability.alertable:
            return None
        for mode in (alertability.mode, KERNEL_MODE):
            if queue.alerted[mode]:
                queue.alerted[mode] = False
                return STATUS_ALERTED
        if queue.user:
            queue.user_pending |= alertability.mode == USER_MODE
            return STATUS_USER_APC
        return None

    def due(self, level: int) -> bool:
        """What runs now has kernel APCs to run before it goes on at ``level``."""
        if not self._queues or (execution := self._system.current) is None:
            return False
        return self._next(self._system.current_thread(), execution, level) is not None

    def due_in_wait(self, execution: Execution, level: int) -> bool:
        """The same for an execution that waits at ``level``."""
        return self._next(self._thread_of(execution.context), execution, level) is not None

    def deliver(self, execution: Execution | None, context: ThreadContext, level: int) -> Program[None]:
        """Run the kernel APCs that are due in a thread which is in driver code, or in none, at ``level``."""
        thread = self._thread_of(context)
        while (apc := self._next(thread, execution, level)) is not None:
            queue = self._queues[thread]
            (queue.special or queue.normal).remove(apc)
            normal = yield from self._call_kernel_routine(apc, context)
            if normal is not None:
                routine, *arguments = normal
                yield from self._system.enter(
                    routine, tuple(arguments), context, PASSIVE_LEVEL, what=_NORMAL_APC
                )
        self._forget(thread)

    def left(self, context: ThreadContext) -> None:
        """A thread is no longer in driver code: what was held off there comes now."""
        if self._queues:
            thread = self._thread_of(context)
            if thread in self._queues:
                self._tell(thread)

    def run_down(self, context: ThreadContext) -> Program[None]:
        """The thread ends: what is still queued is told so."""
        thread = self._thread_of(context)
        item = self._system.objects.at(thread)
        if isinstance(item, ThreadObject):
            item.apcs_run_down = True
        queue = self._queues.pop(thread, None)
        for apc in [] if queue is None else [apc for listed in queue.lists for apc in listed]:
            memory = self._system.memory
            memory.put_u8(apc + KApc.INSERTED, 0)
            routine = memory.u64(apc + KApc.RUNDOWN_ROUTINE)
            if routine:
                yield from self._system.enter(
                    routine, (apc,), context, PASSIVE_LEVEL, what="an APC's rundown routine"
                )

    def forget(self, thread: int) -> None:
        """Its object is gone."""
        self._queues.pop(thread, None)

    # Inside.

    def _lives(self, thread: int) -> bool:
        item = self._system.objects.at(thread)
        return isinstance(item, ThreadObject) and not item.exiting and not item.apcs_run_down

    def _thread_of(self, context: ThreadContext) -> int:
        return self._system.objects.thread(context.pid, context.tid).address

    def _forget(self, thread: int) -> None:
        queue = self._queues.get(thread)
        if queue is not None and not any(queue.lists) and not any(queue.alerted):
            del self._queues[thread]

    def _next(self, thread: int, execution: Execution | None, level: int) -> int | None:
        queue = self._queues.get(thread)
        guarded = execution is not None and execution.guarded_regions > 0
        if queue is None or level >= APC_LEVEL or guarded:
            return None
        if queue.special:
            return queue.special[0]
        held_off = execution is not None and (execution.in_critical_region or execution.what == _NORMAL_APC)
        return queue.normal[0] if queue.normal and not held_off else None

    def _tell(self, thread: int) -> None:
        """Something has come for a thread: it leaves its wait, or user mode; what runs sees it by itself."""
        system, item = self._system, self._system.objects.at(thread)
        inside = [f for f in system.executions if f.what != DPC and self._thread_of(f.context) == thread]
        for execution in inside:
            if execution.wait is not None:
                system.waits.interrupt(execution.wait)
        if inside or not isinstance(item, ThreadObject):
            return
        where = system.threads.find_thread(item.pid, item.tid)
        if where is not None:
            context = ThreadContext(where.pid, where.tid, where.processor)
            system.dispatcher.run_thread(where, system.kernel_code(self._outside(context)))

    def _outside(self, context: ThreadContext) -> Program[None]:
        """What a thread in user mode does first of all."""
        running = self._system.dispatcher.running
        assert running is not None
        context = context._replace(cpu=running.cpu)
        yield from self.deliver(None, context, PASSIVE_LEVEL)
        thread = self._thread_of(context)
        queue = self._queues.get(thread)
        while queue is not None and queue.user_pending and queue.user:
            yield from self._call_kernel_routine(queue.user.pop(0), context)
        if queue is not None:
            queue.user_pending = False
        self._forget(thread)

    def _call_kernel_routine(self, apc: int, context: ThreadContext) -> Program[tuple[int, ...] | None]:
        """What is to be called next - the normal routine and its arguments, as the kernel routine left them -
        or None."""
        system, memory = self._system, self._system.memory
        if not memory.is_mapped(apc, KApc.SIZE):
            raise MemoryFault(apc, "read", present=False)
        fields = (KApc.NORMAL_ROUTINE, KApc.NORMAL_CONTEXT, KApc.FIRST, KApc.SECOND)
        words = [memory.u64(apc + field) for field in fields]
        memory.put_u8(apc + KApc.INSERTED, 0)
        cells = system.heap.allocate(_POINTER * len(words))
        places = tuple(cells + _POINTER * index for index in range(len(words)))
        for place, word in zip(places, words, strict=True):
            memory.put_u64(place, word)
        routine = memory.u64(apc + KApc.KERNEL_ROUTINE)
        yield from system.enter(routine, (apc, *places), context, APC_LEVEL, what="a kernel APC")
        left = tuple(memory.u64(place) for place in places)
        system.heap.take_back(cells)
        return left if left[0] else None
