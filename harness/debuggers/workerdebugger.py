"""A debugger that lives in a process of its own: what pykd and ntoseye have in common on this side.

::

    caller's thread                reading thread           the worker's process
    WorkerDebugger ◀── inbox ◀── Channel (JSON lines) ◀──▶ worker/main.py ── pykd | ntoseye ── target

Every phase has a deadline. A worker that misses one is killed; whatever becomes of it, the target is released
by the native debugger then, and the next debugger starts a fresh one.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from time import monotonic, time
from typing import Any, Final

from harness.channel import Channel
from harness.debuggers.base import (
    BugcheckSeen,
    DebuggerEvent,
    Module,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Release,
    Stopped,
    TargetInfo,
    TargetRebooted,
)
from harness.debuggers.bugchecks import CrashEvidence
from harness.debuggers.connection import Connection, NetConnection, parse_connection
from harness.debuggers.prompts import answer_prompt
from harness.debuggers.release import release
from harness.debuggers.rescue import LOOK_SECONDS, RESCUE_SECONDS, explain_silence, rescue
from harness.debuggers.stops import command_stop, exception_stop
from harness.debuggers.transport import UdpTransport
from harness.errors import ConnectionFailed, DebuggerDied, ProcnotifyError, TargetLost, UsageError

__all__ = ["WorkerDebugger", "WorkerProgram"]

WORKER: Final = Path(__file__).resolve().parent / "worker"
"""The worker's scripts."""
LISTEN_SECONDS: Final = 90.0
"""For the worker to start and to bind its port; the first program in a Wine prefix starts slowly."""
REQUEST_SECONDS: Final = 30.0
"""For what a halted target is asked; a memory read that fails is tried again by the debugger itself."""
LEAST_SECONDS: Final = 0.2
"""A worker that answers at once is never taken for hung, however little time is left."""
OUTPUT_LINES: Final = 8
"""How much of what the debugger said last is kept."""


@dataclass(frozen=True)
class WorkerProgram:
    """How to start a worker."""

    argv: list[str]
    environment: Mapping[str, str] | None = None
    cwd: Path | None = None


@dataclass
class _Fate:
    """What became of the worker."""

    phase: str = "start"
    error: ProcnotifyError | None = None
    halted: bool = False
    attached: bool = False
    crashed: bool = False
    release: Release | None = None
    output: deque[str] = field(default_factory=lambda: deque(maxlen=OUTPUT_LINES))


class WorkerDebugger:
    """See :class:`harness.debuggers.base.Debugger` and :class:`~harness.debuggers.base.CommandDebugger`.

    :param name: as ``--debugger`` takes it.
    :param connection: as for WinDbg's ``-k``.
    :param program: says how to start the worker; called when it is needed, raises what is missing.
    """

    def __init__(self, name: str, connection: str | Connection, program: Callable[[], WorkerProgram]) -> None:
        self.name = name
        self._connection = parse_connection(connection) if isinstance(connection, str) else connection
        self._program = program
        self._channel: Channel | None = None
        self._inbox: SimpleQueue[DebuggerEvent | ProcnotifyError] = SimpleQueue()
        self._pushed_back: deque[DebuggerEvent] = deque()
        self._listening = Flag()
        self._attaching: Future[dict[str, Any]] = Future()
        self._evidence = CrashEvidence()
        self._kernel_base = 0
        self._stop: Stopped | None = None
        self._deadline = float("inf")
        """No question waits beyond this moment of the monotonic clock."""
        self._fate = _Fate()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._channel.pid if self._channel is not None else None

    # Debugger

    def listen(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.listen`; starts the worker."""
        if self._channel is not None:
            raise UsageError("this debugger listens already")
        if isinstance(self._connection, NetConnection):
            # What is wrong with the port is said better here than by any of the debuggers.
            UdpTransport(self._connection.port).close()
        program = self._program()
        try:
            self._channel = Channel(
                program.argv,
                what=f"{self.name}'s worker",
                lost=self._died,
                refused=self._refused,
                on_event=self._on_event,
                on_lost=self._on_lost,
                environment=program.environment,
                cwd=program.cwd,
            )
        except OSError as error:
            raise DebuggerDied(f"{self.name}'s worker cannot be started: {error}") from None
        self._fate.phase = "listen"
        self._attaching = self._channel.ask("attach", {"connection": str(self._connection)})
        self._attaching.add_done_callback(lambda future: self._listening.set())
        if not self._listening.wait(LISTEN_SECONDS):
            raise self._hung(LISTEN_SECONDS)
        if self._attaching.done() and self._attaching.exception() is not None:
            self._end_worker()
            self._attaching.result()

    def attach(self, *, timeout: float) -> TargetInfo:
        """See :meth:`harness.debuggers.base.Debugger.attach`."""
        if self._channel is None:
            self.listen()
        self._fate.phase = "attach"
        try:
            facts = self._attaching.result(timeout)
        except FutureTimeoutError:
            # Its wait for the target cannot be ended from outside.
            self._end_worker()
            error, self._fate.release = explain_silence(self._connection, self.name, timeout)
            raise error from None
        self._fate.attached = self._fate.halted = True
        self._kernel_base = int(facts["kernel_base"])
        return TargetInfo(
            build=int(facts["build"]),
            machine_type=int(facts["machine_type"]),
            processors=int(facts["processors"]),
            kernel_base=self._kernel_base,
            debugger_version=str(facts["version"]),
        )

    def go(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.go`."""
        self._require_halted()
        self._fate.halted = False
        self._stop = None
        self._fate.output.clear()
        self._ask("go", {}, REQUEST_SECONDS)

    def break_in(self, *, timeout: float) -> Stopped:
        """See :meth:`harness.debuggers.base.Debugger.break_in`."""
        if self._stop is not None:
            return self._stop
        deadline = monotonic() + timeout
        kept: list[DebuggerEvent] = []
        if not self._fate.halted:
            self._ask("break_in", {}, timeout)
        try:
            while (left := deadline - monotonic()) > 0:
                event = self._next(left)
                if isinstance(event, Stopped):
                    return event
                if event is not None:
                    kept.append(event)
        finally:
            self._pushed_back.extend(kept)
        if self._fate.crashed:
            raise TargetLost("the target bugchecked before it could break in")
        raise self._hung(timeout, "break_in")

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        """See :meth:`harness.debuggers.base.Debugger.receive`."""
        if self._pushed_back:
            return self._pushed_back.popleft()
        return self._next(timeout)

    def modules(self) -> list[Module]:
        """See :meth:`harness.debuggers.base.Debugger.modules`."""
        self._require_halted()
        rows = self._ask("modules", {}, REQUEST_SECONDS)["modules"]
        modules = [Module(str(name), int(base), int(size)) for name, base, size in rows]
        self._evidence.see_modules(modules)
        return modules

    def execute(self, command: str, *, timeout: float) -> str:
        """See :meth:`harness.debuggers.base.CommandDebugger.execute`."""
        self._require_halted()
        answer = self._ask("execute", {"command": command}, timeout, what=f"command {command!r}")
        self._fate.crashed = answer["bugcheck"] is not None
        if answer["gone"]:
            self._fate.error = TargetLost(f"the command {command!r} ended {self.name}'s session")
        if answer["failed"]:
            said = " ".join(str(answer["output"]).split())
            raise UsageError(f"{self.name} refuses the command {command!r}: {said}")
        return str(answer["output"])

    def detach(self, *, timeout: float) -> Release:
        """See :meth:`harness.debuggers.base.Debugger.detach`. Where the worker is dead, or cannot prove that
        the target runs, the native debugger takes the target over; that may take longer than ``timeout``."""
        if self._fate.release is None:
            self._fate.release = self._detach(timeout) if self._fate.attached else self._detach_unattached()
        return self._fate.release

    def _detach(self, timeout: float) -> Release:
        self._deadline = monotonic() + timeout
        found = Release(None, "")
        if self._fate.error is None:
            found = release(self, timeout=timeout, crashed=self._fate.crashed)
        self._end_worker()
        if found.running or found.crashed:
            return found
        why = self._fate.error.message if self._fate.error is not None else found.proof
        return rescue(self._connection, why, timeout=RESCUE_SECONDS)

    def _detach_unattached(self) -> Release:
        """A worker that was ended while it attached may have halted a target all the same."""
        listened = self._channel is not None or self._fate.error is not None
        self._end_worker()
        if not listened:
            return Release(None, "the debugger was never connected")
        why = self._fate.error.message if self._fate.error is not None else f"{self.name} was stopped"
        return rescue(self._connection, why, timeout=LOOK_SECONDS)

    # What its release needs (harness.debuggers.release.Releasable)

    @property
    def halted(self) -> bool:
        """The target stands still for this debugger."""
        return self._fate.halted

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint; the target is halted."""
        self._ask("clear", {}, REQUEST_SECONDS)

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""
        value = self._ask("time", {}, REQUEST_SECONDS)["time"]
        return None if value is None else int(value)

    def let_go(self) -> None:
        """End the debugger's session; the target runs."""
        self._ask("let_go", {}, REQUEST_SECONDS)
        self._fate.halted = False

    def await_reboot(self, timeout: float) -> bool:
        """Whether the target says within ``timeout`` seconds that it reboots."""
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            event = self._next(left)
            if isinstance(event, TargetRebooted):
                return True
        return False

    # Inside

    def _ask(self, call: str, args: dict[str, Any], timeout: float, *, what: str = "") -> dict[str, Any]:
        if self._fate.error is not None:
            raise self._fate.error
        if self._channel is None:
            raise UsageError("the debugger is not connected", hint="call listen and attach first")
        self._fate.phase = what or call
        timeout = min(timeout, max(self._deadline - monotonic(), LEAST_SECONDS))
        future = self._channel.ask(call, args)
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            raise self._hung(timeout) from None

    def _require_halted(self) -> None:
        if not self._fate.halted:
            raise UsageError("the target is running", hint="break in first")

    def _next(self, timeout: float) -> DebuggerEvent | None:
        try:
            event = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
        except Empty:
            return None
        if isinstance(event, ProcnotifyError):
            self._inbox.put(event)  # for whoever asks again
            raise event
        return self._interpret(event)

    def _interpret(self, event: DebuggerEvent) -> DebuggerEvent:
        match event:
            case PrintReceived(text=text):
                self._evidence.see_print(text)
            case ModuleLoaded(module=module):
                self._evidence.see_modules([module])
            case TargetRebooted():
                self._evidence.forget()
                self._fate.crashed = False
            case BugcheckSeen(code=code, parameters=parameters):
                with contextlib.suppress(ProcnotifyError):  # what was seen so far will have to do
                    self.modules()
                return self._evidence.bugcheck(code, parameters, kernel_base=self._kernel_base)
            case Stopped():
                self._stop = event
            case ModuleUnloaded():
                pass  # kept in the evidence: a bugcheck may point into what is gone
        return event

    # On the reading thread

    def _on_lost(self, reason: str) -> None:
        self._inbox.put(self._died(reason))

    def _on_event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "print":
                text = str(event["text"]).encode("latin-1").decode("utf-8", "backslashreplace")
                self._inbox.put(PrintReceived(text, None, time()))
            case "prompt":
                prompt = str(event["text"]).encode("latin-1").decode("utf-8", "backslashreplace")
                if self._channel is not None:
                    self._channel.ask("answer", {"text": answer_prompt(prompt)})
            case "listening":
                self._listening.set()
            case "output":
                if line := str(event["text"]).strip(" *"):
                    self._fate.output.append(line)
            case "loaded":
                module = Module(str(event["name"]), int(event["base"]), int(event["size"]))
                self._inbox.put(ModuleLoaded(module))
            case "unloaded":
                self._inbox.put(ModuleUnloaded(str(event["name"]), int(event["base"])))
            case "rebooted":
                self._inbox.put(TargetRebooted())
            case "stopped":
                self._on_stop(event)
            case "gone":
                self._fate.error = TargetLost(f"{self.name} has lost the target{self._said()}")
                self._inbox.put(self._fate.error)
            case other:
                raise ValueError(f"there is no event {other!r}")

    def _on_stop(self, event: dict[str, Any]) -> None:
        self._fate.halted = True
        address = int(event["address"])
        if event["bugcheck"] is not None:
            code, one, two, three, four = (int(word) for word in event["bugcheck"])
            self._fate.crashed = True
            self._inbox.put(BugcheckSeen(code, (one, two, three, four), None))
        elif event["command"]:
            said = " | ".join(self._fate.output)
            self._inbox.put(command_stop(f"a command; {self.name} said: {said}", address))
        else:
            first_chance = bool(event["first_chance"])
            self._inbox.put(exception_stop(int(event["code"]), address, first_chance=first_chance))

    # Its end

    def _died(self, reason: str) -> ProcnotifyError:
        """The error for a worker that ended."""
        if self._fate.error is None:
            self._fate.error = DebuggerDied(f"{reason} (phase {self._fate.phase!r}{self._said()})")
        return self._fate.error

    def _hung(self, seconds: float, phase: str | None = None) -> ProcnotifyError:
        """The error for a worker that missed a deadline; it is killed."""
        phase = phase or self._fate.phase
        self._fate.error = DebuggerDied(
            f"{self.name} hung in phase {phase!r} for {seconds:g} s and was killed{self._said()}"
        )
        self._end_worker()
        return self._fate.error

    def _said(self) -> str:
        return f"; it said last: {self._fate.output[-1]}" if self._fate.output else ""

    def _end_worker(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.kill()

    def _refused(self, error: dict[str, Any], what: str) -> ProcnotifyError:
        kind = ConnectionFailed if self._fate.phase in ("listen", "attach") else TargetLost
        return kind(f"{self.name}: {error['message']}{self._said()}")
