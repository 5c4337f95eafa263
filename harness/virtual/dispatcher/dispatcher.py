"""Who runs next, on which processor, at what time.

A discrete-event dispatcher: everything that is going to happen waits in a queue, ordered by target time.
What happens occupies a processor for a moment, so with two processors two threads overlap and a third one
has to wait. What waits in the middle (:class:`~harness.virtual.dispatcher.program.ThreadWait`) gives its
processor up or holds it, and goes on later; the thread's other work waits meanwhile. All jitter comes from
the one seeded generator, and which of several goes first where the order is open from the policy.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from harness.virtual.clock import MICROSECOND, MILLISECOND, Clock
from harness.virtual.dispatcher.policy import LookingPolicy, Point, Policy, RunOn
from harness.virtual.dispatcher.program import Program, Signal, ThreadWait
from harness.virtual.interfaces import ThreadContext

__all__ = ["Activity", "DispatchedThread", "Dispatcher", "Entry"]

EVENT_COST: Final = (8 * MICROSECOND, 40 * MICROSECOND)
"""How long one event keeps its processor busy; well below the shortest recorded distance between two events
of one thread (191 µs), so that the model's cost never reorders what the recording ordered."""
WAKE_UP: Final = (5 * MICROSECOND, 60 * MICROSECOND)
"""From a signal to the thread that waited for it."""
MIGRATION_RATE: Final = 0.15
"""How often a thread wakes on another processor although its last one is idle."""
HORIZON: Final = 20 * MILLISECOND
"""How far ahead the policy may look for whom to let go first: as long as a time slice."""
MAX_ABLE: Final = 4
"""How many others the policy is shown at a time."""
_NEVER: Final = 1 << 63
"""A processor that stands still until what holds it goes on."""


class Activity(enum.IntEnum):
    """Why something waits in the queue."""

    WORK = enum.auto()
    """Something goes on because of a scenario step: a start-up, an end, an action."""
    TIMEOUT = enum.auto()
    """A timer of an idle program; nobody waits for it."""
    BACKGROUND = enum.auto()
    """The rest of the system."""


class DispatchedThread(Protocol):
    """A thread as the dispatcher sees it."""

    tid: int
    processor: int
    """The one it ran on last."""
    busy_until: int
    """When what it does now is done (100 ns units since boot)."""

    @property
    def pid(self) -> int:
        """Of its process."""


class Entry:
    """Something that is going to happen."""

    __slots__ = ("action", "activity", "cancelled", "pinned", "resumes", "thread")

    def __init__(
        self,
        thread: DispatchedThread,
        action: Callable[[], Program[None] | None],
        activity: Activity,
        *,
        pinned: int | None = None,
        resumes: bool = False,
    ) -> None:
        self.thread = thread
        self.action = action
        self.activity = activity
        self.pinned = pinned
        """The only processor on which it can happen."""
        self.resumes = resumes
        """The thread stands in the middle, and this lets it go on."""
        self.cancelled = False


class Dispatcher:
    """The event queue, the processors and the clock they move.

    :param clock: moved to each event's time; by nothing else.
    :param rng: the run's generator.
    :param processors: how many there are, from 1.
    :param between: called before each event (a debugger's chance to break in).
    :param policy: asked who goes first where the order is open.
    """

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        *,
        processors: int = 2,
        between: Callable[[], None] = lambda: None,
        policy: Policy | None = None,
    ) -> None:
        if processors < 1:
            raise ValueError("a machine has at least one processor")
        self.clock = clock
        self.rng = rng
        self.policy: Policy = policy or RunOn()
        self._looking = self.policy if isinstance(self.policy, LookingPolicy) else None
        self.when_stuck: Callable[[], None] = lambda: None
        """Called when nothing can happen any more; may raise what that means."""
        self._between = between
        self._busy_until = [0] * processors
        self._queue: list[tuple[int, int, Entry]] = []
        self._order = 0
        self._pending: Counter[Activity] = Counter()
        self._contexts: list[ThreadContext] = []
        self._standing: dict[DispatchedThread, list[Entry]] = {}
        self._starved: list[Entry] = []

    @property
    def processors(self) -> int:
        return len(self._busy_until)

    @property
    def context(self) -> ThreadContext:
        """The thread that runs now; LookupError between events."""
        if not self._contexts:
            raise LookupError("no thread is running")
        return self._contexts[-1]

    @property
    def running(self) -> ThreadContext | None:
        """The thread that runs now; None between events."""
        return self._contexts[-1] if self._contexts else None

    def call(
        self,
        delay: int,
        thread: DispatchedThread,
        action: Callable[[], Program[None] | None],
        activity: Activity = Activity.WORK,
        *,
        processor: int | None = None,
    ) -> Entry:
        """Let ``thread`` do ``action`` in ``delay`` (100 ns units) at the earliest, and execute the program
        that it may give.

        :param processor: the only one on which it can happen.
        """
        entry = Entry(thread, action, activity, pinned=processor)
        self._push(self.clock.now + max(delay, 0), entry)
        self._pending[activity] += 1
        return entry

    def cancel(self, entry: Entry) -> None:
        """Take back a :meth:`call` that has not happened yet; harmless afterwards."""
        if not entry.cancelled:
            entry.cancelled = True
            self._pending[entry.activity] -= 1

    def run_thread(
        self,
        thread: DispatchedThread,
        program: Program[None],
        activity: Activity = Activity.WORK,
        delay: int = 0,
    ) -> None:
        """Let ``thread`` execute ``program``, beginning in ``delay`` (100 ns units)."""
        self.call(delay, thread, lambda: program, activity)

    def stand_aside(
        self, point: Point, word: int = 0, *, write: bool = True, at: Callable[[], str] = str
    ) -> int:
        """How long (100 ns units) the policy makes what runs now stand aside, so that others begin first.

        :param word: number of the 8-byte word in memory that it is about to use; 0: it is none.
        :param write: it is about to write there.
        :param at: tells where the code is, ``driver.sys+0x1234``.
        """
        if self._looking is not None:
            self._looking.look(self.context.tid, word, write, at)
        chosen = self.policy.choose(point, self._able)
        return max(self._soonest()[chosen - 1][0] - self.clock.now, 1) if chosen else 0

    def _able(self) -> list[ThreadContext]:
        """What runs now, and whom the policy may let go first."""
        others = (entry.thread for _, _, entry in self._soonest())
        return [self.context, *(ThreadContext(thread.pid, thread.tid, thread.processor) for thread in others)]

    def _soonest(self) -> list[tuple[int, int, Entry]]:
        horizon = self.clock.now + HORIZON
        if not self._queue or self._queue[0][0] > horizon:
            return []
        return sorted(item for item in self._queue if item[0] <= horizon and not item[2].cancelled)[:MAX_ABLE]

    def pending(self, activity: Activity) -> int:
        """How many events of that kind wait."""
        return self._pending[activity]

    def next_time(self) -> int | None:
        """When the next event is due (100 ns units since boot); None when nothing waits."""
        self._drop_cancelled()
        return self._queue[0][0] if self._queue else None

    def step(self) -> Activity | None:
        """Let the next event happen; its kind, or None when it had to wait for a processor or its thread.

        :raises LookupError: nothing waits.
        """
        self._between()
        self._drop_cancelled()
        if not self._queue:
            self.when_stuck()
            raise LookupError("nothing is going to happen")
        due, _, entry = heapq.heappop(self._queue)
        time, thread = max(due, self.clock.now), entry.thread
        if thread in self._standing and not entry.resumes:
            self._standing[thread].append(entry)
            return None
        processor = entry.pinned
        if processor is None or not entry.resumes:
            free_at = min(self._busy_until) if processor is None else self._busy_until[processor]
            free_at = max(free_at, thread.busy_until)
            if free_at >= _NEVER:
                self._starved.append(entry)
                return None
            if free_at > time:
                self._push(free_at, entry)
                return None
        self.clock.advance_to(time)
        if processor is None:
            processor = self._choose(thread, time)
        thread.processor = processor
        thread.busy_until = self._busy_until[processor] = time + self.rng.randrange(*EVENT_COST)
        entry.cancelled = True
        self._pending[entry.activity] -= 1
        self._contexts.append(ThreadContext(thread.pid, thread.tid, processor))
        try:
            program = entry.action()
            if program is not None:
                self._advance(thread, program, entry.activity)
        finally:
            self._contexts.pop()
        if entry.resumes and entry.pinned is not None:
            self._feed_starved()
        return entry.activity

    def _advance(self, thread: DispatchedThread, program: Program[None], activity: Activity) -> None:
        """Let ``program`` go on until it waits or ends."""
        parked = self._standing.pop(thread, ())
        wait = next(program, None)
        if isinstance(wait, ThreadWait):
            self._stand(thread, program, activity, wait, list(parked))
            return
        for entry in parked:
            self._push(self.clock.now, entry)
        if isinstance(wait, Signal):
            wait.when_set(lambda: self._wake(thread, program, activity))
        elif wait is not None:
            self.call(wait, thread, lambda: program, activity)

    def _stand(
        self,
        thread: DispatchedThread,
        program: Program[None],
        activity: Activity,
        wait: ThreadWait,
        parked: list[Entry],
    ) -> None:
        self._standing[thread] = parked
        self._pending[activity] += 1
        processor = self.context.cpu if wait.holds_processor else None
        if processor is not None:
            self._busy_until[processor] = thread.busy_until = _NEVER
        entry = Entry(thread, lambda: program, activity, pinned=processor, resumes=True)
        if isinstance(wait.until, int):
            self._push(self.clock.now + max(wait.until, 0), entry)
            if wait.sooner is not None:
                wait.sooner.when_set(lambda: self._hasten(entry))
        elif processor is not None:
            wait.until.when_set(lambda: self._push(self.clock.now, entry))
        else:
            wait.until.when_set(lambda: self._push(self.clock.now + self.rng.randrange(*WAKE_UP), entry))

    def _hasten(self, entry: Entry) -> None:
        """What was to go on later goes on as soon as a thread wakes."""
        if not entry.cancelled:
            entry.cancelled = True
            again = Entry(entry.thread, entry.action, entry.activity, pinned=entry.pinned, resumes=True)
            self._push(self.clock.now + self.rng.randrange(*WAKE_UP), again)

    def _wake(self, thread: DispatchedThread, program: Program[None], activity: Activity) -> None:
        self.call(self.rng.randrange(*WAKE_UP), thread, lambda: program, activity)

    def _feed_starved(self) -> None:
        """A processor that stood still goes on: what could run nowhere else is looked at again."""
        starved, self._starved = self._starved, []
        for entry in starved:
            self._push(self.clock.now, entry)

    def _choose(self, thread: DispatchedThread, time: int) -> int:
        idle = [number for number, busy in enumerate(self._busy_until) if busy <= time]
        stays = thread.processor in idle and self.rng.random() >= MIGRATION_RATE
        return thread.processor if stays else self.rng.choice(idle)

    def _push(self, time: int, entry: Entry) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, entry))

    def _drop_cancelled(self) -> None:
        while self._queue and self._queue[0][2].cancelled:
            heapq.heappop(self._queue)
