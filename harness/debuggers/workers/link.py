"""The link to a debugger in a process of its own: requests with deadlines, events, and what became of it.

::

    caller's thread             reading thread           the worker's process
    WorkerLink ◀──── inbox ◀──── JsonChannel (JSON lines) ◀──▶ worker/main.py ── pykd | ntoseye ── target

A worker that misses a deadline is killed. Whatever ended it, :attr:`WorkerLink.error` says in which phase and
what the debugger said last.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Lock
from threading import Event as Flag
from time import monotonic, time
from typing import Any, Final

from harness.channel import JsonChannel
from harness.debuggers.base import (
    BugcheckSeen,
    DebuggerEvent,
    Module,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Stopped,
    TargetRebooted,
)
from harness.debuggers.prompts import answer_prompt
from harness.debuggers.stops import command_stop, exception_stop
from harness.errors import ConnectionFailed, DebuggerDied, LinesLost, ProcnotifyError, TargetLost
from harness.waiting import is_done_within, wait_in_slices

__all__ = ["WORKER", "WorkerLink", "WorkerProgram"]

WORKER: Final = Path(__file__).resolve().parent / "worker"
"""The worker's scripts."""
LISTEN_SECONDS: Final = 60.0
"""For the worker to start and to bind its port; the first program in a Wine prefix starts slowly."""
LEAST_SECONDS: Final = 0.2
"""A worker that answers at once is never taken for hung, however little time is left."""
BREAK_OFF_SECONDS: Final = 10.0
"""For a command that was broken off to end: the running target has to stop for it."""
MAX_INBOX: Final = 1 << 20
"""Events nobody has read; more is a reader that died."""
OUTPUT_LINES: Final = 8
"""How much of what the debugger said last is kept."""


@dataclass(frozen=True)
class WorkerProgram:
    """How to start a worker."""

    argv: list[str]
    environment: Mapping[str, str] | None = None
    cwd: Path | None = None
    retry: Callable[[bool], None] | None = None
    """Called before a second attempt, when the first one ended without a word: with True when it hung. None:
    a second attempt is of no use."""
    hold: Callable[[], AbstractContextManager[object]] = nullcontext
    """Gives what is held from before the worker starts until it has ended."""


class WorkerLink:
    """One worker, from its start to its end.

    :param name: of the debugger, for messages.
    :param connection: where it is to listen, as for WinDbg's ``-k``; held until the worker has ended.
    :raises DebuggerDied: the program cannot be started.
    :raises ConnectionFailed: the connection cannot be had.
    :raises RigError: what it needs to hold cannot be had.
    """

    def __init__(self, name: str, program: WorkerProgram, connection: AbstractContextManager[str]) -> None:
        self._name = name
        self._inbox: SimpleQueue[DebuggerEvent | ProcnotifyError] = SimpleQueue()
        self._listening = Flag()
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self.ended = Flag()
        """Nothing more can come."""
        self.phase = "listen"
        """What it was asked last."""
        self.error: ProcnotifyError | None = None
        """Why nothing more can come of it; None while something can."""
        self.heard = False
        """It has said something."""
        self.was_hung = False
        """It missed a deadline."""
        self.halted = False
        """The target stands still for it."""
        self._opened: set[str] = set()
        self._file_opened = Condition()
        """Guards what is in ``_opened``."""
        self.deadline = float("inf")
        """No question waits beyond this moment of the monotonic clock."""
        self._freeing = Lock()  # the worker's death may be seen on two threads at once
        self._held = ExitStack()
        self._held.enter_context(program.hold())
        try:
            where = self._held.enter_context(connection)
            self._channel = JsonChannel(
                program.argv,
                what=f"{name}'s worker",
                lost=self._died,
                refused=self._refused,
                on_event=self.on_event,
                on_lost=self._on_lost,
                environment=program.environment,
                cwd=program.cwd,
            )
        except OSError as error:
            self._free()
            raise DebuggerDied(f"{name}'s worker cannot be started: {error}") from None
        except ProcnotifyError:
            self._free()
            raise
        self._attaching: Future[dict[str, Any]] = self._channel.ask("attach", {"connection": where})
        self._attaching.add_done_callback(lambda future: self._listening.set())

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._channel.pid

    def await_listening(self) -> None:
        """Until it has bound its port; raises why it cannot."""
        if not wait_in_slices(self._listening.wait, LISTEN_SECONDS):
            raise self.hung(LISTEN_SECONDS)
        if self._attaching.done() and self._attaching.exception() is not None:
            self.end()
            self._attaching.result()

    def await_target(self, timeout: float) -> dict[str, Any] | None:
        """What the worker says of the target once it is halted; None when none came within ``timeout``."""
        self.phase = "attach"
        if not is_done_within([self._attaching], timeout):
            return None
        facts = self._attaching.result()
        self.halted = True
        return facts

    def ask(self, call: str, args: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The worker's answer; one that does not come in time ends the worker."""
        if self.error is not None:
            raise self.error
        self.phase = call
        timeout = min(timeout, max(self.deadline - monotonic(), LEAST_SECONDS))
        answer = self._channel.ask(call, args)
        if not is_done_within([answer], timeout):
            raise self.hung(timeout)
        return answer.result()

    def execute(self, command: str, timeout: float) -> tuple[dict[str, Any], bool]:
        """The worker's answer to a debugger command, and whether it had to be broken off: one that lets the
        target run ends with its next stop, and there may be none."""
        if self.error is not None:
            raise self.error
        self.phase = f"command {command!r}"
        timeout = min(timeout, max(self.deadline - monotonic(), LEAST_SECONDS))
        answer = self._channel.ask("execute", {"command": command})
        if is_done_within([answer], timeout):
            return answer.result(), False
        self._channel.ask("break_in", {})
        if is_done_within([answer], BREAK_OFF_SECONDS):
            return answer.result(), True
        raise self.hung(timeout)

    def go(self, timeout: float) -> None:
        """Let the halted target run."""
        self.halted = False
        self._output.clear()
        self.ask("go", {}, timeout)

    def next(self, timeout: float) -> DebuggerEvent | None:
        """The next event, None after ``timeout``; raises :attr:`error` once there can be none."""
        event: DebuggerEvent | ProcnotifyError | None = None

        def come(seconds: float) -> bool:
            nonlocal event
            with contextlib.suppress(Empty):
                event = self._inbox.get(timeout=seconds) if seconds > 0 else self._inbox.get_nowait()
            return event is not None

        wait_in_slices(come, timeout)
        if isinstance(event, ProcnotifyError):
            self._inbox.put(event)  # for whoever asks again
            raise event
        return event

    def has_opened(self, file: str, timeout: float) -> bool:
        """Whether the debugger opens that file of its map for the target, at the latest in ``timeout``
        seconds."""
        with self._file_opened:
            return wait_in_slices(
                lambda seconds: self._file_opened.wait_for(lambda: file in self._opened, seconds), timeout
            )

    def hung(self, seconds: float) -> ProcnotifyError:
        """The error for a deadline that was missed in the present phase; the worker is killed."""
        self.was_hung = True
        self.error = DebuggerDied(
            f"{self._name} hung in phase {self.phase!r} for {seconds:g} s and was killed{self._said()}"
        )
        self.end()
        return self.error

    def end(self) -> None:
        """Kill the worker, if it still lives."""
        self._channel.kill()
        self._free()

    def _free(self) -> None:
        with self._freeing:
            self._held.close()

    def _on_lost(self, reason: str) -> None:
        self._free()
        self._inbox.put(self._died(reason))
        self.ended.set()

    def _died(self, reason: str) -> ProcnotifyError:
        if self.error is None:
            self.error = DebuggerDied(f"{reason} (phase {self.phase!r}{self._said()})")
        return self.error

    def _refused(self, error: dict[str, Any], what: str) -> ProcnotifyError:
        kind = ConnectionFailed if self.phase in ("listen", "attach") else TargetLost
        said = f"; it said: {' | '.join([*self._output][-3:])}" if self._output else ""
        return kind(f"{self._name}: {error['message']}{said}")

    def _said(self) -> str:
        return f"; it said last: {self._output[-1]}" if self._output else ""

    # On the reading thread

    def on_event(self, event: dict[str, Any]) -> None:
        """The worker says something."""
        self.heard = True
        match event["event"]:
            case "print":
                if self._inbox.qsize() >= MAX_INBOX:
                    self.error = TargetLost(f"{MAX_INBOX} messages of the target were not read")
                    self.end()
                else:
                    self._inbox.put(PrintReceived(_sent(event), None, time()))
            case "prompt":
                self._channel.ask("answer", {"text": answer_prompt(_text(event))})
            case "listening":
                self._listening.set()
            case "output":
                if line := str(event["text"]).strip(" *"):
                    self._output.append(line)
            case "loaded":
                module = Module(str(event["name"]), int(event["base"]), int(event["size"]))
                self._inbox.put(ModuleLoaded(module))
            case "unloaded":
                self._inbox.put(ModuleUnloaded(str(event["name"]), int(event["base"])))
            case "served":
                with self._file_opened:
                    self._opened.add(str(event["file"]))
                    self._file_opened.notify_all()
            case "rebooted":
                self._inbox.put(TargetRebooted())
            case "stopped":
                self.halted = True
                self._inbox.put(self._stop(event))
            case "lost":
                self.error = LinesLost(f"{self._name}: {event['text']}")
                self._inbox.put(self.error)
            case "gone":
                self.error = TargetLost(f"{self._name} has lost the target{self._said()}")
                self._inbox.put(self.error)
            case other:
                raise ValueError(f"there is no event {other!r}")

    def _stop(self, event: dict[str, Any]) -> DebuggerEvent:
        address = int(event["address"])
        if event["bugcheck"] is not None:
            code, one, two, three, four = (int(word) for word in event["bugcheck"])
            return BugcheckSeen(code, (one, two, three, four), None)
        if event["command"]:
            return command_stop(f"a command; {self._name} said: {' | '.join(self._output)}", address)
        if not event["code"]:
            return Stopped(f"the event {event['kind']!r}", 0, address)
        return exception_stop(
            int(event["code"]),
            address,
            first_chance=bool(event["first_chance"]),
            break_in=bool(event["break_in"]),
        )


def _sent(event: dict[str, Any]) -> bytes:
    """What the target sent: the worker has a character for each byte."""
    return str(event["text"]).encode("latin-1")


def _text(event: dict[str, Any]) -> str:
    return _sent(event).decode("utf-8", "backslashreplace")
