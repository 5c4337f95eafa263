"""Does a trace break a lifecycle rule by these two events? Each rule by its definition, for one breach.

What the rules follow of all processes and threads at once (:mod:`harness.order.lifecycle`) is asked here of
one event: what was alive, registered and counted when it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from harness.callbacks import GROUPS, PROCESS, THREAD, group_of_event, group_of_routine
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
from harness.numbers import TIME_SLACK, Arrival, Numbers
from harness.order.refutation import RuleBreach
from harness.order.registrations import MAX_ROUTINES, Registered, registration_of
from harness.order.retold import Retold

__all__ = ["refusal_of_breach", "subject_of"]

_ANOTHER_LOAD = (Arrival.BEGINS, Arrival.WENT_BACK)


def refusal_of_breach(breach: RuleBreach, events: Iterable[Event]) -> str:
    """Why the events do not break the rule; empty where they do."""
    breaks = _RULES.get(breach.rule)
    if breaks is None:
        return f"there is no rule {breach.rule!r} that two events break"
    breaking = next((event for event in events if event.index == breach.index), None)
    if breaking is None:
        return f"there is no event {breach.index}"
    past = _Past(breaking)
    earlier: Event | None = None
    for event in takewhile(lambda event: event.index < breach.index, events):
        if event.index == breach.earlier:
            earlier = event
        if isinstance(event, Reboot):
            past = _Past(breaking)  # another boot knows of nothing before it
        else:
            past.add(event)
    if breaking.seq is not None and past.numbers.foretell(breaking, breaking.seq) in _ANOTHER_LOAD:
        past.load_again()
    if breach.earlier is not None and earlier is None:
        return f"event {breach.earlier} does not come before event {breach.index}"
    if breach.subject != subject_of(breach.rule, earlier):
        return f"event {breach.earlier} is not about {breach.subject!r}"
    if past.is_retold(breaking) or not breaks(past, breaking, breach.earlier):
        return f"event {breach.index} does not break the rule by event {breach.earlier}"
    return ""


def subject_of(rule: str, earlier: Event | None) -> str:
    """What a rule is broken about that one event may break about several; empty of other rules."""
    match earlier:
        case ThreadCreate(tid=tid) if rule == "threads_exit_before_process":
            return f"thread {tid}"
        case Driver(routine=routine) if rule == "driver_unregisters":
            group = group_of_routine(routine)
            return "" if group is None else group.name
        case _:
            return ""


@dataclass
class _Process:
    created: int | None
    """None: alive before the trace began."""
    seen: int
    had_thread: bool = False
    threads_told: bool = False


@dataclass
class _Thread:
    pid: int
    created: int
    counted: bool
    """It ends with its process at the latest."""


@dataclass
class _Past:
    """What was before an event."""

    of: Event
    processes: dict[int, _Process] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    threads: dict[int, _Thread] = field(default_factory=dict)
    registered: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    tells: bool = False
    """Of registrations that were not refused, or of removals."""
    threads_told_from: int | None = None
    is_retold: Retold = field(default_factory=Retold)
    numbers: Numbers = field(default_factory=Numbers)
    highest: int = -1
    latest: tuple[int, int] = 0, 0
    """The latest time, and the event that has it."""
    same: int | None = None
    """The last event with the number of the one that is asked about."""

    def alive(self, pid: int) -> bool:
        return pid in self.processes or pid not in self.ended

    def add(self, event: Event) -> None:
        if event.seq is not None:
            self._count(event, event.seq)
        if not self.is_retold(event):
            self._follow(event)
        if event.seq is not None and event.time is not None and event.seq > self.highest:
            self.highest = event.seq
            if event.time > self.latest[0]:
                self.latest = event.time, event.index

    def _follow(self, event: Event) -> None:
        match event:
            case ProcessCreate(pid=pid):
                self.ended.pop(pid, None)
                late = self.threads_told_from or -1
                told = THREAD.name not in self.refused and (event.seq is None or event.seq > late)
                self.processes[pid] = _Process(event.index, event.index, threads_told=told)
                for thread in self.threads.values():
                    thread.counted = thread.counted and thread.pid != pid
            case ThreadCreate(pid=pid, tid=tid):
                self.threads[tid] = _Thread(pid, event.index, self._touch(event, pid))
                if pid in self.processes:
                    self.processes[pid].had_thread = True
            case ThreadExit(pid=pid, tid=tid):
                self._touch(event, pid)
                self.threads.pop(tid, None)
            case ImageLoad(pid=int(pid)) if pid:
                self._touch(event, pid)
            case ProcessExit(pid=pid) if self._touch(event, pid):
                over = [tid for tid, thread in self.threads.items() if thread.counted and thread.pid == pid]
                for tid in over:
                    del self.threads[tid]
                del self.processes[pid]
                self.ended[pid] = event.index
            case Driver():
                self._driver(event)

    def _touch(self, event: Event, pid: int) -> bool:
        """Something happens in a process; is it alive?"""
        if not self.alive(pid):
            return False
        self.processes.setdefault(pid, _Process(None, event.index, had_thread=True))
        return True

    def _driver(self, event: Driver) -> None:
        if event.totals is not None:
            self.load_again()
            self.numbers.close()
            return
        line = registration_of(event)
        if line is None:
            return
        name = line.group.name
        registered = self.registered.setdefault(name, [])
        if line.what is Registered.REFUSED:
            if not registered:
                self.refused[name] = event.index, None
            return
        self.tells = True
        if line.what is Registered.ADDED:
            for group in GROUPS if registered else (name,):
                self._begin_telling(group, event.seq)
            registered = [*registered, event.index][-MAX_ROUTINES:]
            self.refused.pop(name, None)
        elif not (registered := registered[:-1]):
            if name == PROCESS.name:
                self.ended.clear()
            if line.group.silent_after_removal:
                self.refused[name] = event.index, event.seq
        self.registered[name] = registered

    def _begin_telling(self, group: str, seq: int | None) -> None:
        if group == PROCESS.name:
            self.processes.clear()
            self.ended.clear()
            for thread in self.threads.values():
                thread.counted = False
        elif group == THREAD.name:
            self.threads.clear()
            self.threads_told_from = seq
            for process in self.processes.values():
                process.threads_told = False

    def load_again(self) -> None:
        """Of what was before, nothing is known any more, but for the numbers."""
        for known in (self.processes, self.ended, self.threads, self.registered, self.refused):
            known.clear()
        self.tells, self.threads_told_from = False, None
        self.highest, self.latest = -1, (0, 0)

    def _count(self, event: Event, seq: int) -> None:
        if seq == self.of.seq:
            self.same = event.index
        if self.numbers.take(event, seq) in _ANOTHER_LOAD:
            self.load_again()


_Rule = Callable[[_Past, Event, "int | None"], bool]


def _created_once(past: _Past, event: Event, earlier: int | None) -> bool:
    known = past.processes.get(event.pid) if isinstance(event, ProcessCreate) else None
    return known is not None and known.created is not None and known.created == earlier


def _created_first(past: _Past, event: Event, earlier: int | None) -> bool:
    known = past.processes.get(event.pid) if isinstance(event, ProcessCreate) else None
    return known is not None and known.created is None and known.seen == earlier


def _nothing_after_exit(past: _Past, event: Event, earlier: int | None) -> bool:
    if not isinstance(event, ThreadCreate | ThreadExit | ImageLoad | ProcessExit) or event.pid is None:
        return False
    if isinstance(event, ImageLoad) and not event.pid:
        return False  # of the kernel
    return not past.alive(event.pid) and past.ended[event.pid] == earlier


def _thread_created_once(past: _Past, event: Event, earlier: int | None) -> bool:
    known = past.threads.get(event.tid) if isinstance(event, ThreadCreate) else None
    return known is not None and known.created == earlier


def _thread_created_before(past: _Past, event: Event, earlier: int | None) -> bool:
    if not isinstance(event, ThreadExit) or event.tid in past.threads:
        return False
    process = past.processes.get(event.pid)
    if process is None or process.created is None or not process.threads_told:
        return False
    return process.created == earlier


def _thread_keeps_process(past: _Past, event: Event, earlier: int | None) -> bool:
    known = past.threads.get(event.tid) if isinstance(event, ThreadExit) else None
    return known is not None and known.created == earlier and known.pid != getattr(event, "pid", None)


def _threads_exit_first(past: _Past, event: Event, earlier: int | None) -> bool:
    if not isinstance(event, ProcessExit) or not past.alive(event.pid) or THREAD.name in past.refused:
        return False
    living = (thread for thread in past.threads.values() if thread.counted and thread.pid == event.pid)
    return earlier is not None and earlier in (thread.created for thread in living)


def _thread_context(_past: _Past, event: Event, earlier: int | None) -> bool:
    if not isinstance(event, ThreadExit) or earlier is not None:
        return False
    return event.context_tid is not None and event.context_tid != event.tid


def _process_context(past: _Past, event: Event, earlier: int | None) -> bool:
    if not isinstance(event, ProcessExit) or not past.alive(event.pid):
        return False
    if event.pid == 0:
        return earlier is None
    process = past.processes.get(event.pid, _Process(None, event.index, had_thread=True))
    other = event.context_pid is not None and event.context_pid != event.pid
    return other and process.had_thread and process.created == earlier


def _registered(past: _Past, event: Event, earlier: int | None) -> bool:
    index, seq = past.refused.get(group_of_event(event) or "", (None, None))
    in_turn = seq is None or event.seq is None or event.seq > seq
    return past.tells and index is not None and index == earlier and in_turn


def _unregisters(past: _Past, event: Event, earlier: int | None) -> bool:
    unloads = isinstance(event, Driver) and event.totals is not None
    return (
        unloads and earlier is not None and earlier in [told[-1] for told in past.registered.values() if told]
    )


def _numbered_once(past: _Past, event: Event, earlier: int | None) -> bool:
    if event.seq is None or earlier is None or past.same != earlier:
        return False
    return past.numbers.take(event, event.seq) is Arrival.REUSED


def _time_follows(past: _Past, event: Event, earlier: int | None) -> bool:
    if event.seq is None or event.time is None or event.seq <= past.highest:
        return False
    return event.time + TIME_SLACK < past.latest[0] and past.latest[1] == earlier


_RULES: dict[str, _Rule] = {
    "process_created_once": _created_once,
    "process_created_first": _created_first,
    "nothing_after_process_exit": _nothing_after_exit,
    "thread_created_once": _thread_created_once,
    "thread_created_before_exit": _thread_created_before,
    "thread_keeps_its_process": _thread_keeps_process,
    "threads_exit_before_process": _threads_exit_first,
    "thread_exit_context": _thread_context,
    "process_exit_context": _process_context,
    "callbacks_only_while_registered": _registered,
    "driver_unregisters": _unregisters,
    "seq_unique": _numbered_once,
    "time_follows_seq": _time_follows,
}
