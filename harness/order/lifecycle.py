"""The lifecycle rules of :mod:`harness.scenario.rules`, held to a trace as a fold.

A driver that has no notify routine registered is told of nothing: what ends and begins then is not in its
lines. So what is known of processes and threads is forgotten where the driver is loaded again, or registers
for them again.

Memory grows with the processes and threads that are alive and with the PIDs that have ended and were not used
again (some 100 bytes each), not with the number of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.callbacks import GROUPS, PROCESS, THREAD, group_of_event
from harness.events import (
    Driver,
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    Reboot,
    ThreadCreate,
    ThreadExit,
)
from harness.numbers import BATCH, TIME_SLACK, Arrival, Numbers
from harness.order.registrations import MAX_ROUTINES, Registered, registration_of
from harness.order.retold import Retold

__all__ = ["MAX_VIOLATIONS", "Lifecycle", "Violation"]

MAX_VIOLATIONS = 16
"""Kept; the first says most."""
IDLE_PROCESS = 0
"""PID of the system idle process; as the process of an image it stands for the kernel's own."""


@dataclass(frozen=True)
class Violation:
    """One broken promise."""

    rule: str
    index: int
    """The event that broke it."""
    message: str
    before: int | None = None
    """An earlier event that it contradicts."""
    seq: int | None = None
    """The number that an earlier event, which one is not remembered, has too."""


@dataclass(slots=True)
class _Process:
    created: int | None
    """Index of its creation; None: alive before the trace began."""
    seen: int
    """Index of its first event."""
    threads: dict[int, int]
    """Living threads that were created in the trace → index of their creation."""
    had_thread: bool
    """It has, or had, a thread; one without any is ended from outside."""
    threads_told: bool
    """Of all of its threads the driver was told."""


class Lifecycle:
    """Feed it events; then look at :attr:`violations`.

    :param off: names of rules not to hold the trace to.
    """

    def __init__(self, off: frozenset[str] = frozenset()) -> None:
        self.violations: list[Violation] = []
        self._off = off
        self._begin_boot()
        self._rules: dict[type, Callable[[Any], None]] = {
            ProcessCreate: self._process_create,
            ProcessExit: self._process_exit,
            ThreadCreate: self._thread_create,
            ThreadExit: self._thread_exit,
            ImageLoad: self._image_load,
            Driver: self._driver,
            Reboot: self._reboot,
        }

    def _begin_boot(self) -> None:
        self._numbers = Numbers()
        self._is_retold = Retold()
        self._begin_session()

    def _begin_session(self) -> None:
        """The driver is loaded, again: what was while it was not, nobody knows."""
        self._processes: dict[int, _Process] = {}
        self._ended: dict[int, int] = {}
        self._threads: dict[int, tuple[int, int]] = {}
        self._registered: dict[str, list[int]] = {}
        """Group → the registrations that were not removed."""
        self._refused: dict[str, tuple[int, int | None]] = {}
        """Group of which nothing is registered → the event that says so, and its number."""
        self._tells_registrations = False
        self._threads_told_from: int | None = None
        """Number of the line that says that thread routines are registered."""
        self._begin_clock()

    def _begin_clock(self) -> None:
        self._highest_seq = -1
        self._latest_time = self._latest_index = 0

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the trace."""
        iterator = iter(events)
        while batch := list(islice(iterator, BATCH)):
            self._feed(batch)

    def _feed(self, batch: list[Event]) -> None:
        rules = self._rules
        kinds = set(map(type, batch))
        # What these two say changes what the numbers after them mean.
        counted = (
            Driver not in kinds
            and Reboot not in kinds
            and self._numbers.take_in_turn([event for event in batch if event.seq is not None])
        )
        for event in batch:
            seq = event.seq
            if (
                not counted
                and seq is not None
                and (arrival := self._numbers.take(event, seq)) is not Arrival.NEW
            ):
                self._number(event, arrival)
            retold = event.call is not None and self._is_retold(event)
            rule = None if retold else rules.get(type(event))
            if rule is not None:
                rule(event)
            time = event.time
            if seq is not None and time is not None and seq > self._highest_seq:
                self._highest_seq = seq
                if time > self._latest_time:
                    self._latest_time, self._latest_index = time, event.index
                else:
                    self._clock(event, time)
            if self._refused and not retold:
                self._registration(event)

    def _broken(
        self, rule: str, event: Event, message: str, before: int | None = None, seq: int | None = None
    ) -> None:
        if rule not in self._off and len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(rule, event.index, message, before, seq))

    def _number(self, event: Event, arrival: Arrival) -> None:
        """What the transport or the machine did to a number is no broken promise."""
        if arrival is Arrival.REUSED:
            message = f"seq {event.seq} is the number of an earlier line too"
            self._broken("seq_unique", event, message, seq=event.seq)
        elif arrival is not Arrival.REPEATED:
            self._begin_session()

    def _clock(self, event: Event, time: int) -> None:
        """An event with the highest number, but not with the latest time."""
        if time + TIME_SLACK < self._latest_time:
            message = f"seq {event.seq} has time {time}, before {self._latest_time}"
            self._broken("time_follows_seq", event, message, self._latest_index)

    def _registration(self, event: Event) -> None:
        refused = self._refused.get(group_of_event(event) or "")
        # A driver that tells of failures alone may have registered another routine of the group.
        if refused is None or not self._tells_registrations:
            return
        index, seq = refused
        if seq is None or event.seq is None or event.seq > seq:
            self._broken(
                "callbacks_only_while_registered", event, "the callback is not registered any more", index
            )

    def _process(self, event: Event, pid: int) -> _Process | None:
        """The process an event happens in; None when it has ended."""
        process = self._processes.get(pid)
        if process is None:
            ended = self._ended.get(pid)
            if ended is not None:
                self._broken("nothing_after_process_exit", event, f"process {pid} has ended", ended)
                return None
            process = self._processes[pid] = _Process(
                None, event.index, {}, had_thread=True, threads_told=False
            )
        return process

    def _process_create(self, event: ProcessCreate) -> None:
        known = self._processes.get(event.pid)
        if known is not None and known.created is not None:
            message = f"process {event.pid} is created again before it ended"
            self._broken("process_created_once", event, message, known.created)
        elif known is not None:
            message = f"process {event.pid} is created after it was already at work"
            self._broken("process_created_first", event, message, known.seen)
        self._ended.pop(event.pid, None)
        before = self._threads_told_from
        told = THREAD.name not in self._refused and (
            before is None or event.seq is None or event.seq > before
        )
        self._processes[event.pid] = _Process(
            event.index, event.index, {}, had_thread=False, threads_told=told
        )

    def _process_exit(self, event: ProcessExit) -> None:
        process = self._process(event, event.pid)
        if process is None:
            return
        self._exit_context(event, process)
        for tid, created in process.threads.items():
            if THREAD.name not in self._refused:
                message = f"process {event.pid} ends while its thread {tid} lives"
                self._broken("threads_exit_before_process", event, message, created)
            self._threads.pop(tid, None)
        self._processes.pop(event.pid)
        self._ended[event.pid] = event.index

    def _exit_context(self, event: ProcessExit, process: _Process) -> None:
        if event.pid == IDLE_PROCESS:
            self._broken("process_exit_context", event, "process 0, the idle process, never ends")
        elif event.context_pid is not None and event.context_pid != event.pid and process.had_thread:
            message = f"the end of process {event.pid} is reported by process {event.context_pid}"
            self._broken("process_exit_context", event, message, process.created)

    def _thread_create(self, event: ThreadCreate) -> None:
        process = self._process(event, event.pid)
        known = self._threads.get(event.tid)
        if known is not None:
            message = f"thread {event.tid} is created again before it ended"
            self._broken("thread_created_once", event, message, known[1])
            owner = self._processes.get(known[0])
            if owner is not None:
                owner.threads.pop(event.tid, None)
        self._threads[event.tid] = (event.pid, event.index)
        if process is not None:
            process.threads[event.tid] = event.index
            process.had_thread = True

    def _thread_exit(self, event: ThreadExit) -> None:
        process = self._process(event, event.pid)
        created = self._threads.pop(event.tid, None)
        if created is None:
            if process is not None and process.created is not None and process.threads_told:
                message = f"thread {event.tid} of process {event.pid} ends but was never created"
                self._broken("thread_created_before_exit", event, message, process.created)
        elif created[0] != event.pid:
            message = f"thread {event.tid} was created in process {created[0]} and ends in {event.pid}"
            self._broken("thread_keeps_its_process", event, message, created[1])
        owner = self._processes.get(created[0]) if created is not None else None
        if owner is not None:
            owner.threads.pop(event.tid, None)
        if event.context_tid is not None and event.context_tid != event.tid:
            message = f"the end of thread {event.tid} is reported by thread {event.context_tid}"
            self._broken("thread_exit_context", event, message)

    def _image_load(self, event: ImageLoad) -> None:
        # Nearly every image is of a process that is known.
        if event.pid and event.pid not in self._processes:
            self._process(event, event.pid)

    def _reboot(self, event: Reboot) -> None:
        """Another boot has processes, numbers and a clock of its own."""
        self._begin_boot()

    def _driver(self, event: Driver) -> None:
        if event.totals is not None:
            for name, registrations in self._registered.items():
                message = f"the driver unloads with its {name} callback still registered"
                self._broken("driver_unregisters", event, message, registrations[-1])
            self._begin_session()
            self._numbers.close()
            return
        line = registration_of(event)
        if line is None:
            return
        name = line.group.name
        registered = self._registered.get(name, [])
        match line.what:
            case Registered.ADDED:
                self._tells_registrations = True
                # Registered twice: two routines, or a driver that tells of no removal was loaded again.
                for group in GROUPS if registered else (name,):
                    self._begin_telling(group, event)
                self._registered[name] = [*registered, event.index][-MAX_ROUTINES:]
                self._refused.pop(name, None)
            case Registered.REFUSED if not registered:
                self._refused[name] = (event.index, None)
            case Registered.REMOVED:
                self._tells_registrations = True
                if registered[:-1]:
                    self._registered[name] = registered[:-1]
                    return
                self._registered.pop(name, None)
                if name == PROCESS.name:
                    self._ended.clear()  # an ID may be given out again, and the driver is not told
                if line.group.silent_after_removal:
                    self._refused[name] = (event.index, event.seq)
            case _:
                pass

    def _begin_telling(self, group: str, event: Driver) -> None:
        """From here on the driver is told of what the group reports; what was before may be over."""
        if group == PROCESS.name:
            self._processes.clear()
            self._ended.clear()
        elif group == THREAD.name:
            self._threads.clear()
            self._threads_told_from = event.seq
            for process in self._processes.values():
                process.threads.clear()
                process.threads_told = False
