"""What executions wait for, who can end it, and when nobody can.

A wait is satisfied at the moment at which its object is signalled, in the order in which the waits began, as
KiWaitTest does it; the waiting thread only runs later. So an event that is reset right after it was set has
let its waiters go all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from harness.virtual.clock import SECOND
from harness.virtual.cpu.traps import Continued, Hung, MemoryFault
from harness.virtual.dispatcher.dispatcher import Entry
from harness.virtual.dispatcher.program import Program, Signal, ThreadWait
from harness.virtual.kernel.apcs import Alertability
from harness.virtual.kernel.execution import Execution
from harness.virtual.windows.irql import DISPATCH_LEVEL

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["PATIENCE", "WaitBlock", "Waits", "demand_end", "stand"]

PATIENCE: Final = 30 * SECOND
"""Target time after which a wait without a time-out, of a callback or an entry point that somebody waits for,
is a hang although other callbacks might still come and end it."""
LONG_WAIT: Final = SECOND
"""Target time after which a wait in a notify routine breaks the standing rule CallbackWaitsLong."""
LONGEST_LIFE: Final = 600 * SECOND
"""Target time after which such a callback or entry point is a hang although each of its waits ends."""
Waitable = int | Execution
"""The address of a dispatcher object or lock, or an execution whose end is waited for."""


class WaitBlock:
    """One wait.

    :param attempt: takes what is waited for: the result of the wait, or None where it cannot be had now.
    :param objects: what may change that.
    :param what: completes "it ...": ``waits for the event at 0x...``.
    :param holders: the executions that have what is waited for, or are it.
    :param held: how to say that: ``held by``.
    :param irql: at which the execution waits.
    :param began: when it began to (100 ns units since boot).
    """

    def __init__(
        self,
        execution: Execution,
        attempt: Callable[[], int | None],
        objects: tuple[Waitable, ...],
        what: str,
        holders: Callable[[], Iterable[Execution]],
        held: str,
        alertability: Alertability,
        irql: int,
        began: int,
    ) -> None:
        self.execution = execution
        self.attempt = attempt
        self.objects = objects
        self.what = what
        self.holders = holders
        self.held = held
        self.alertability = alertability
        self.irql = irql
        self.began = began
        self.interrupted = False
        """Its thread runs APCs first, and then waits again."""
        self.signal = Signal()
        self.result: int | None = None
        self.fault: MemoryFault | None = None


class Waits:
    """Every wait that stands, oldest first."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._blocks: list[WaitBlock] = []

    def until(
        self,
        attempt: Callable[[], int | None],
        objects: tuple[Waitable, ...],
        what: str,
        *,
        due: int | None = None,
        late: int = 0,
        holders: Callable[[], Iterable[Execution]] = lambda: (),
        held: str = "held by",
        alertability: Alertability = Alertability(),  # noqa: B008 - a frozen value
    ) -> int:
        """Take something now, or wait for it; for an export.

        :param due: interrupt time at which to give up with the result ``late``; None: never.
        :raises Continued: the export goes on when it could be taken.
        """
        result = attempt()
        if result is not None:
            return result
        system = self._system
        if due is not None and due <= system.clock.now:
            return late
        execution = system.current
        if execution is None:
            raise Hung(f"{what} outside every thread")
        status = system.apcs.ends_wait(alertability, system.current_thread())
        if status is not None:
            return status
        irql = system.cpu.irql
        block = WaitBlock(
            execution, attempt, objects, what, holders, held, alertability, irql, system.clock.now
        )
        raise Continued(self._stand(block, due, late))

    def signalled(self, changed: Waitable) -> None:
        """An object's state has changed: satisfy whoever can be satisfied now."""
        for block in [block for block in self._blocks if changed in block.objects]:
            try:
                result = block.attempt()
            except MemoryFault as fault:
                # Of several objects one is gone: the waiting thread's fault, not the signalling one's.
                block.fault, result = fault, 0
            if result is not None:
                self._end(block, result)

    def interrupt(self, block: WaitBlock) -> None:
        """Something has come for the thread that waits."""
        if block not in self._blocks:
            return
        context = block.execution.context
        thread = self._system.objects.thread(context.pid, context.tid).address
        status = self._system.apcs.ends_wait(block.alertability, thread)
        if status is not None:
            self._end(block, status)
        elif self._system.apcs.due_in_wait(block.execution, block.irql):
            self._blocks.remove(block)
            block.interrupted = True
            block.signal.set()

    def report_stuck(self) -> None:
        """Nothing can happen any more: whoever waits waits for ever.

        :raises DriverHang: somebody does.
        """
        for block in self._blocks:
            self._hang(block)

    def _stand(self, block: WaitBlock, due: int | None, late: int) -> Program[int]:
        system, execution = self._system, block.execution
        if due is None:
            circle = self._circle(block)
            if circle:
                raise Hung(self._story(block, circle))
        self._blocks.append(block)
        execution.wait = block
        entry = self._arrange_end(block, due, late)
        yield from self._once(block, due, late)
        while block.interrupted:
            yield from self._run_apcs(block)
            result = block.attempt()
            if result is None and due is not None and due <= system.clock.now:
                result = late
            if result is not None:
                block.result = result
                break
            self._blocks.append(block)
            yield from self._once(block, due, late)
        execution.wait = None
        self._tell_long_wait(block)
        if entry is not None:
            system.dispatcher.cancel(entry)
        if block.fault is not None:
            raise block.fault
        assert block.result is not None
        return block.result

    def _tell_long_wait(self, block: WaitBlock) -> None:
        system, execution = self._system, block.execution
        waited = system.clock.now - block.began
        driver = system.module_at(execution.routine)
        if execution.callback is None or driver is None or waited < LONG_WAIT:
            return
        name, group, place = driver.module.name, execution.callback.group, system.place(execution.place)
        message = f"{name} has its {group} notify routine wait for {waited / SECOND:.1f} s at {place}"
        system.broken_rules.add("CallbackWaitsLong", name, place, message)

    def _arrange_end(self, block: WaitBlock, due: int | None, late: int) -> Entry | None:
        """What ends the wait at its time, or the run where it takes too long."""
        system, execution, now = self._system, block.execution, self._system.clock.now
        if due is not None and not block.objects:
            return None  # see _once
        limit = execution.began + LONGEST_LIFE
        if due is not None and not (execution.awaited and due > limit):
            return system.call_later(due - now, lambda: self._end(block, late))
        if execution.awaited:
            return system.call_later(min(PATIENCE, limit - now), lambda: self._hang(block))
        return None

    def _once(self, block: WaitBlock, due: int | None, late: int) -> Program[None]:
        """Stand until the block ends or is interrupted."""
        system, execution = self._system, block.execution
        if block.objects or due is None:
            yield from stand(system, execution, block.signal)
        else:  # nothing but the time: its thread goes on at once then
            pause = max(due - system.clock.now, 0)
            yield from stand(system, execution, pause, sooner=block.signal)
            self._end(block, late)

    def _run_apcs(self, block: WaitBlock) -> Program[None]:
        system, execution = self._system, block.execution
        running = system.dispatcher.running
        assert running is not None
        block.interrupted, block.signal = False, Signal()
        yield from system.apcs.deliver(execution, execution.context._replace(cpu=running.cpu), block.irql)

    def _end(self, block: WaitBlock, result: int) -> None:
        if block in self._blocks:
            self._blocks.remove(block)
            block.result = result
            block.signal.set()

    def _hang(self, block: WaitBlock) -> None:
        if block in self._blocks:
            story = self._story(block, self._chain(block))
            self._system.hang(story, block.execution)

    def _circle(self, block: WaitBlock) -> list[Execution]:
        """Who waits for whom, from a holder of what ``block`` waits for back to the one that waits; empty
        where that does not close."""
        start, seen = block.execution, set[Execution]()

        def follow(blocked: WaitBlock) -> Iterator[list[Execution]]:
            for holder in blocked.holders():
                if holder is start:
                    yield [holder]
                elif holder.wait is not None and holder not in seen:
                    seen.add(holder)
                    yield from ([holder, *rest] for rest in follow(holder.wait))

        return next(follow(block), [])

    def _chain(self, block: WaitBlock) -> list[Execution]:
        """Who has what is waited for, and who has what that one waits for, as far as it goes."""
        chain: list[Execution] = []
        blocked: WaitBlock | None = block
        while blocked is not None:
            holder = next(iter(blocked.holders()), None)
            if holder is None or holder in chain:
                break
            chain.append(holder)
            blocked = holder.wait
        return chain

    def _since(self, block: WaitBlock, holder: Execution) -> str:
        """Where the holder took what is waited for."""
        locks = [lock for lock in block.objects if isinstance(lock, int)]
        places = (self._system.locks.since(lock, holder) for lock in locks)
        return next((f" since {place}" for place in places if place), "")

    def _story(self, block: WaitBlock, chain: list[Execution]) -> str:
        if not chain:
            return f"{block.what}, which nobody will signal"
        story, blocked = block.what, block
        for holder in chain:
            if holder is block.execution and blocked is block and block.held != "held by":
                return f"{story}, which cannot come before it returns"
            if holder is block.execution:
                story += f", {blocked.held} the first one{self._since(blocked, holder)}"
                break
            story += f", {blocked.held} {holder}{self._since(blocked, holder)}"
            if holder.wait is None:
                break
            blocked = holder.wait
            story += f", which {blocked.what} at {self._system.place(holder.place)}"
        return story


def demand_end(system: System, execution: Execution, ends: int) -> None:
    """An execution that somebody waits for has to go on in time.

    :param ends: when it does (100 ns units since boot).
    :raises Hung: later than :data:`LONGEST_LIFE` allows.
    """
    if execution.awaited and ends > execution.began + LONGEST_LIFE:
        raise Hung(f"has not returned within {LONGEST_LIFE // SECOND} seconds")


def stand(
    system: System,
    execution: Execution,
    until: Signal | int,
    *,
    holds_processor: bool = False,
    sooner: Signal | None = None,
) -> Program[None]:
    """The execution that runs stands still, with its processor from DISPATCH_LEVEL on.

    :param holds_processor: its processor stands still with it at any IRQL.
    :param sooner: what ends it before a time.
    :raises Hung: it would have taken longer than :data:`LONGEST_LIFE`.
    """
    demand_end(system, execution, system.clock.now + until if isinstance(until, int) else system.clock.now)
    held = holds_processor or system.cpu.irql >= DISPATCH_LEVEL
    system.user_space.hide()
    system.current = None
    if not held:
        system.objects.leave(execution.context)
    yield ThreadWait(until, held, sooner)
