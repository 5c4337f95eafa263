"""Who runs next, on which processor, at what time.

A discrete-event scheduler: everything that is going to happen waits in a queue, ordered by target time.
What happens occupies a processor for a moment, so with two processors two threads overlap and a third one
has to wait. All jitter comes from the one seeded generator.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Callable, Generator
from random import Random
from typing import TypeAlias

from harness.virtual.clock import MICROSECOND, Clock
from harness.virtual.interfaces import ThreadContext
from harness.virtual.nt.objects import Thread

__all__ = ["Activity", "Entry", "Program", "Scheduler", "Signal"]

EVENT_COST = (8 * MICROSECOND, 40 * MICROSECOND)
"""How long one event keeps its processor busy; well below the shortest recorded distance between two events
of one thread (191 µs), so that the model's cost never reorders what the recording ordered."""
WAKE_UP = (5 * MICROSECOND, 60 * MICROSECOND)
"""From a signal to the thread that waited for it."""
MIGRATION_RATE = 0.15
"""How often a thread wakes on another processor although its last one is idle."""


class Activity(enum.Enum):
    """Why something waits in the queue."""

    WORK = enum.auto()
    """Something goes on because of a scenario step: a start-up, an end, an action."""
    TIMEOUT = enum.auto()
    """A timer of an idle program; nobody waits for it."""
    BACKGROUND = enum.auto()
    """The rest of the system."""


class Signal:
    """Something threads wait for; once set it stays set."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        """Let everyone who waits go on."""
        self._set = True
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()

    def when_set(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` as soon as the signal is set: now, if it is."""
        if self._set:
            resume()
        else:
            self._waiting.append(resume)


Program: TypeAlias = Generator[int | Signal, None, None]
"""What a thread executes: it yields how long to wait (100 ns units), or for what, before it goes on."""


class Entry:
    """Something that is going to happen."""

    __slots__ = ("action", "activity", "cancelled", "thread")

    def __init__(self, thread: Thread, action: Callable[[], None], activity: Activity) -> None:
        self.thread = thread
        self.action = action
        self.activity = activity
        self.cancelled = False


class Scheduler:
    """The event queue, the processors and the clock they move.

    :param clock: moved to each event's time; by nothing else.
    :param rng: the run's generator.
    :param processors: how many there are, from 1.
    :param between: called before each event (a debugger's chance to break in).
    """

    def __init__(
        self, clock: Clock, rng: Random, *, processors: int = 2, between: Callable[[], None] = lambda: None
    ) -> None:
        if processors < 1:
            raise ValueError("a machine has at least one processor")
        self.clock = clock
        self.rng = rng
        self._between = between
        self._busy_until = [0] * processors
        self._queue: list[tuple[int, int, Entry]] = []
        self._order = 0
        self._pending: Counter[Activity] = Counter()
        self._contexts: list[ThreadContext] = []

    @property
    def processors(self) -> int:
        return len(self._busy_until)

    @property
    def context(self) -> ThreadContext:
        """The thread that runs now; LookupError between events."""
        if not self._contexts:
            raise LookupError("no thread is running")
        return self._contexts[-1]

    def call(
        self,
        delay: int,
        thread: Thread,
        action: Callable[[], None],
        activity: Activity = Activity.WORK,
    ) -> Entry:
        """Let ``thread`` do ``action`` in ``delay`` (100 ns units) at the earliest."""
        entry = Entry(thread, action, activity)
        self._push(self.clock.now + max(delay, 0), entry)
        self._pending[activity] += 1
        return entry

    def cancel(self, entry: Entry) -> None:
        """Take back a :meth:`call` that has not happened yet; harmless afterwards."""
        if not entry.cancelled:
            entry.cancelled = True
            self._pending[entry.activity] -= 1

    def run_thread(
        self, thread: Thread, program: Program, activity: Activity = Activity.WORK, delay: int = 0
    ) -> None:
        """Let ``thread`` execute ``program``, beginning in ``delay`` (100 ns units)."""

        def advance() -> None:
            wait = next(program, None)
            if isinstance(wait, Signal):
                wait.when_set(lambda: self._resume(thread, advance, activity))
            elif wait is not None:
                self.call(wait, thread, advance, activity)

        self.call(delay, thread, advance, activity)

    def _resume(self, thread: Thread, action: Callable[[], None], activity: Activity) -> None:
        self.call(self.rng.randrange(*WAKE_UP), thread, action, activity)

    def pending(self, activity: Activity) -> int:
        """How many events of that kind wait."""
        return self._pending[activity]

    def next_time(self) -> int | None:
        """When the next event is due (100 ns units since boot); None when nothing waits."""
        self._drop_cancelled()
        return self._queue[0][0] if self._queue else None

    def step(self) -> Activity | None:
        """Let the next event happen; its kind, or None when it had to wait for a processor.

        :raises LookupError: nothing waits.
        """
        self._between()
        self._drop_cancelled()
        if not self._queue:
            raise LookupError("nothing is going to happen")
        due, _, entry = heapq.heappop(self._queue)
        time, thread = max(due, self.clock.now), entry.thread
        free_at = max(min(self._busy_until), thread.busy_until)
        if free_at > time:
            self._push(free_at, entry)
            return None
        self.clock.advance_to(time)
        processor = self._choose(thread, time)
        thread.processor = processor
        thread.busy_until = self._busy_until[processor] = time + self.rng.randrange(*EVENT_COST)
        entry.cancelled = True
        self._pending[entry.activity] -= 1
        self._contexts.append(ThreadContext(thread.process.pid, thread.tid, processor))
        try:
            entry.action()
        finally:
            self._contexts.pop()
        return entry.activity

    def _choose(self, thread: Thread, time: int) -> int:
        idle = [number for number, busy in enumerate(self._busy_until) if busy <= time]
        stays = thread.processor in idle and self.rng.random() >= MIGRATION_RATE
        return thread.processor if stays else self.rng.choice(idle)

    def _push(self, time: int, entry: Entry) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, entry))

    def _drop_cancelled(self) -> None:
        while self._queue and self._queue[0][2].cancelled:
            heapq.heappop(self._queue)
