"""What a driver leaves for later: DPCs, timers, work items.

A DPC runs on the processor whose queue it is in as soon as that is below DISPATCH_LEVEL: at once when it was
queued below, else when the IRQL is lowered. A timer expires in the clock interrupt at its time. A work item
runs in one of the System process's worker threads. Sources: Microsoft, *KeInsertQueueDpc*, *KeSetTimerEx*,
*ExQueueWorkItem* (wdm.h).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.cpu.traps import Hung, MemoryFault
from harness.virtual.dispatcher.dispatcher import Activity, DispatchedThread, Entry
from harness.virtual.dispatcher.program import Program, Signal
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.execution import DPC, WORK_ITEM
from harness.virtual.windows.irql import DISPATCH_LEVEL

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["MAX_WORKERS", "Dpcs", "KDpc", "Timers", "WorkItem", "WorkQueue"]

MAX_WORKERS: Final = 32
"""Worker threads: as many work items can stand in the middle at a time; further ones wait for one of them."""
MAX_DPCS: Final = 10_000
"""DPCs that run one after another without anything else happening."""
_SIGNAL_STATE: Final = 4


class KDpc:
    """Offsets in KDPC."""

    ROUTINE: Final = 0x18
    CONTEXT: Final = 0x20
    FIRST: Final = 0x28
    SECOND: Final = 0x30
    QUEUED: Final = 0x38
    """DpcData: not 0 while it is queued."""
    SIZE: Final = 0x40


class Dpcs:
    """Each processor's queue."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._queues: list[deque[int]] = [deque() for _ in range(system.processors)]

    def insert(self, dpc: int, first: int, second: int, processor: int) -> bool:
        """Queue a KDPC; False when it is queued already."""
        memory = self._system.memory
        if memory.u64(dpc + KDpc.QUEUED):
            return False
        memory.put_u64(dpc + KDpc.FIRST, first)
        memory.put_u64(dpc + KDpc.SECOND, second)
        memory.put_u64(dpc + KDpc.QUEUED, dpc)
        self._queues[processor].append(dpc)
        if processor != self._system.context.cpu:
            self._system.call_later(0, self._interrupt, processor=processor)
        return True

    def _interrupt(self) -> Program[None]:
        """Another processor queued one here."""
        return self._system.kernel_code(self.drain())

    def remove(self, dpc: int) -> bool:
        """Take a KDPC out of its queue; False when it was in none."""
        for queue in self._queues:
            if dpc in queue:
                queue.remove(dpc)
                self._system.memory.put_u64(dpc + KDpc.QUEUED, 0)
                return True
        return False

    def queued(self) -> list[int]:
        """The KDPCs of all processors."""
        return [dpc for queue in self._queues for dpc in queue]

    def due(self, level: int) -> bool:
        """The current processor has to run DPCs before it goes on at ``level``."""
        return level < DISPATCH_LEVEL and bool(self._queues[self._system.context.cpu])

    def drain(self) -> Program[None]:
        """Run the current processor's DPCs in the order in which they were queued."""
        system = self._system
        running = system.dispatcher.running
        context = system.context if system.current is not None or running is None else running
        queue = self._queues[context.cpu]
        for _ in range(MAX_DPCS):
            if not queue:
                return
            dpc = queue.popleft()
            if (timer := system.ex_timers.of_dpc(dpc)) is not None:
                yield from system.ex_timers.expire(timer, context)
                continue
            memory = system.memory
            if not memory.is_mapped(dpc, KDpc.SIZE):
                # The kernel itself, which runs the queue at DISPATCH_LEVEL, reads it.
                raise MemoryFault(dpc, "read", present=False)
            routine, argument, first, second = (
                memory.u64(dpc + at) for at in (KDpc.ROUTINE, KDpc.CONTEXT, KDpc.FIRST, KDpc.SECOND)
            )
            memory.put_u64(dpc + KDpc.QUEUED, 0)
            arguments = (dpc, argument, first, second)
            yield from system.enter(routine, arguments, context, DISPATCH_LEVEL, what=DPC)
        raise Hung("queues DPCs without end")


class _Timer(NamedTuple):
    entry: Entry
    dpc: int
    period: int


class Timers:
    """Every KTIMER that is set, by its address."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._set: dict[int, _Timer] = {}

    def set(self, timer: int, delay: int, period: int, dpc: int) -> bool:
        """Let ``timer`` expire in ``delay`` and then every ``period`` (100 ns units; 0: once); whether it was
        set already."""
        was_set = self.cancel(timer)
        self._start(timer, delay, period, dpc)
        return was_set

    def cancel(self, timer: int) -> bool:
        """It will not expire; whether it was going to."""
        found = self._set.pop(timer, None)
        if found is not None:
            self._system.dispatcher.cancel(found.entry)
        return found is not None

    def let_expire_once(self, timer: int) -> None:
        """If it is set, it is not periodic any more."""
        if timer in self._set:
            self._set[timer] = self._set[timer]._replace(period=0)

    def running(self) -> list[int]:
        """Every KTIMER that is going to expire."""
        return list(self._set)

    def _start(self, timer: int, delay: int, period: int, dpc: int) -> None:
        entry = self._system.call_later(max(delay, 0), lambda: self._expire(timer))
        self._set[timer] = _Timer(entry, dpc, period)

    def _expire(self, timer: int) -> Program[None]:
        system, (_, dpc, period) = self._system, self._set.pop(timer)
        if period:
            self._start(timer, period, period, dpc)
        return system.kernel_code(self._signal(timer, dpc))

    def _signal(self, timer: int, dpc: int) -> Program[None]:
        system = self._system
        running = system.dispatcher.running
        assert running is not None
        system.context = running
        system.memory.put_u32(timer + _SIGNAL_STATE, 1)
        system.waits.signalled(timer)
        if not dpc:
            return
        if not system.memory.is_mapped(dpc, KDpc.SIZE):
            raise MemoryFault(dpc, "read", present=False)
        system.dpcs.insert(dpc, 0, 0, running.cpu)
        yield from system.dpcs.drain()


class WorkItem(NamedTuple):
    """A routine for a worker thread."""

    routine: int
    arguments: tuple[int, ...]
    driver: int = 0
    """DRIVER_OBJECT that an I/O work item keeps alive until it has ended, with the device that is its first
    argument; 0 for none."""
    address: int = 0
    """Of its WORK_QUEUE_ITEM, which is free again once a worker thread has taken it; 0 for none."""


class WorkQueue:
    """Work items, and the threads that run them."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._waiting: deque[WorkItem] = deque()
        self._idle: list[DispatchedThread] = []
        self._drivers: list[int] = []
        self._ended: list[Signal] = []

    def hire(self, threads: Sequence[DispatchedThread]) -> None:
        """These are the worker threads."""
        self._idle = list(threads[:MAX_WORKERS])

    def queue(self, item: WorkItem) -> None:
        """Let a worker thread run ``item`` as soon as one is free."""
        self._waiting.append(item)
        if item.driver:
            self._drivers.append(item.driver)
        if self._idle:
            worker = self._idle.pop(0)
            program = self._system.kernel_code(self._work(worker))
            self._system.dispatcher.run_thread(worker, program, Activity.BACKGROUND)

    def waiting(self) -> list[int]:
        """Every WORK_QUEUE_ITEM that no worker thread has taken yet."""
        return [item.address for item in self._waiting if item.address]

    def routines(self) -> list[int]:
        """Of the work items that no worker thread has taken yet."""
        return [item.routine for item in self._waiting]

    def busy(self, driver: int) -> bool:
        """An I/O work item of that driver (its DRIVER_OBJECT) has not ended."""
        return driver in self._drivers

    def next_end(self) -> Signal:
        """Set when an I/O work item has ended."""
        signal = Signal()
        self._ended.append(signal)
        return signal

    def _work(self, worker: DispatchedThread) -> Program[None]:
        system = self._system
        while self._waiting:
            item = self._waiting.popleft()
            if item.address:  # its links, which are in the queue's list
                system.memory.put_u64(item.address, 0)
            running = system.dispatcher.running
            assert running is not None
            context = ThreadContext(worker.pid, worker.tid, running.cpu)
            yield from system.enter(item.routine, item.arguments, context, 0, what=WORK_ITEM, awaited=False)
            if item.driver:
                self._drivers.remove(item.driver)
                system.devices.let_go(item.arguments[0])
                ended, self._ended = self._ended, []
                for signal in ended:
                    signal.set()
            yield 0  # others get their turn, however many items there are
        self._idle.append(worker)
