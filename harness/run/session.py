"""One live target: while the guest works, what the debugger hears becomes events.

The debugger stays on the caller's thread, for some are bound to one. A guest call blocks until the guest has
done it, and what it does prints; so guest calls run on a thread of their own while the caller's pumps. The
print stream is what orders things: a guest call that has returned says nothing about lines still on their
way, a marker that has arrived does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

from harness.debuggers.base import (
    BugcheckSeen,
    Debugger,
    DebuggerEvent,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Stopped,
    TargetRebooted,
)
from harness.errors import DriverBugcheck, DriverFault, ProcnotifyError, TargetLost
from harness.events import Event
from harness.lines import EventAssembler
from harness.machines.base import Machine

__all__ = ["Caller", "Session", "Watch"]

POLL_SECONDS = 0.002
"""How long the pump listens before it looks whether the guest call has returned; part of a step's time."""

T = TypeVar("T")


@dataclass(frozen=True)
class Watch:
    """How long a session waits, in seconds of host time."""

    silence: float = 10.0
    """The target neither prints nor answers: it is lost after this long."""
    lines: float = 5.0
    """A line that must come (an end marker, the totals) is missing after this long without any other."""
    bugcheck: float = 5.0
    """The guest says that the target bugchecked; the debugger hears it at the latest after this long."""


class Caller(Protocol):
    """Who does a scenario's guest calls; :class:`Session` does, and listens meanwhile."""

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0) -> T:
        """Let the guest do ``work``; what it returns."""

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Wait until ``arrived``; False when it will not be."""


class Session:
    """Pumps a running target. Use as a context manager: leaving ends the guest's thread.

    :param debugger: attached, the target running.
    :param machine: asked for evidence when the target falls silent.
    :param record: called with each event, in capture order, before anything else is done with it.
    :param watch: the deadlines.
    """

    def __init__(
        self, debugger: Debugger, machine: Machine, record: Callable[[Event], None], watch: Watch
    ) -> None:
        self._debugger = debugger
        self._machine = machine
        self._record = record
        self._watch = watch
        self._assembler = EventAssembler()
        self._guest = ThreadPoolExecutor(max_workers=1, thread_name_prefix="guest")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        # A call that is still out returns when its machine is stopped; that is the caller's next act.
        self._guest.shutdown(wait=False)

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0) -> T:
        """Let the guest do ``work`` and pump until it has.

        :param what: for messages, "step 'launch notepad.exe'".
        :param quiet: seconds for which silence is part of the work, of a guest whose clock is the host's.
        :raises ProcnotifyError: what ``work`` raised; a bugcheck, a stop, a reboot or silence meanwhile.
        """
        answer = self._guest.submit(work)
        quiet_since = monotonic()
        while not answer.done():
            if self._pump(POLL_SECONDS):
                quiet_since = monotonic()
            elif monotonic() - quiet_since > self._watch.silence + quiet:
                raise self._silent(what)
        try:
            return answer.result()
        except DriverBugcheck:
            self._await_bugcheck()
            raise

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Pump until ``arrived``; False when no line at all came for the watch's ``lines`` seconds.

        :param what: for the message when the target is lost meanwhile.
        """
        quiet_since = monotonic()
        while not arrived():
            if self._pump(self._watch.lines / 20):
                quiet_since = monotonic()
            elif monotonic() - quiet_since > self._watch.lines:
                return False
        return True

    def finish(self) -> None:
        """Record what was left unfinished: a line without its end, a split line without all its parts."""
        for event in self._assembler.flush():
            self._record(event)

    def record_bugcheck(self, crash: BugcheckSeen) -> None:
        """Record what was unfinished, then the bugcheck."""
        for parsed in self._assembler.bugcheck(crash.code, crash.parameters, crash.module):
            self._record(parsed)

    def _pump(self, timeout: float) -> bool:
        """Take one thing from the debugger; False when there was none."""
        event = self._debugger.receive(timeout=timeout)
        if event is None:
            return False
        self._handle(event)
        return True

    def _handle(self, event: DebuggerEvent) -> None:
        match event:
            case PrintReceived():
                host_time = None if self._machine.deterministic else event.host_time
                for parsed in self._assembler.feed(event.text, host_time):
                    self._record(parsed)
            case BugcheckSeen():
                self.record_bugcheck(event)
                raise DriverBugcheck(event.code, event.parameters, module=event.module)
            case Stopped():
                raise DriverFault(
                    f"the target stopped in the debugger: {event.reason} (0x{event.code:08x})"
                    f" at 0x{event.address:016x}{self._module_at(event.address)}",
                    hint="a driver under test must not break in or raise exceptions",
                )
            case TargetRebooted():
                raise TargetLost("the target rebooted in the middle of the run")
            case ModuleLoaded() | ModuleUnloaded():
                pass  # the driver's own lines tell the same, in their place among the others

    def _module_at(self, address: int) -> str:
        try:
            modules = self._debugger.modules()
        except ProcnotifyError:
            return ""
        for module in modules:
            if module.base <= address < module.base + module.size:
                return f" ({module.name}+0x{address - module.base:x})"
        return ""

    def _silent(self, what: str) -> TargetLost:
        try:
            status = self._machine.status()
        except ProcnotifyError as error:
            evidence = error.message
        else:
            detail = f" ({status.detail})" if status.detail else ""
            evidence = f"the machine says it is {status.state}{detail}"
        return TargetLost(f"the target was silent for {self._watch.silence:g} s during {what}; {evidence}")

    def _await_bugcheck(self) -> None:
        """The debugger's word on a bugcheck has the module, and its place in the trace: prefer it."""
        deadline = monotonic() + self._watch.bugcheck
        while monotonic() < deadline:
            self._pump(self._watch.bugcheck / 20)
