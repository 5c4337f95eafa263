"""A scripted debugger, machine and guest for the tests of one run's parts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from harness.connection import Connection, TcpConnection
from harness.debuggers.base import DebuggerEvent, Module, PrintReceived, Release, Stopped, TargetInfo
from harness.errors import TargetLost
from harness.guests.base import ActionResult
from harness.machines.base import BootOptions, MachineStatus
from harness.scenario import Scenario, parse


def scenario_of(steps: str) -> Scenario:
    """A scenario with these steps and an expectation that does not matter."""
    text = f"scenario: probe\nsummary: s\nsteps:\n{steps}\nexpect:\n  order: [process_create: any]\n"
    return parse(text, Path("probe.yaml"))


class ScriptedDebugger:
    """Says what it was given; sleeps out its time-out when it has nothing to say."""

    name = "scripted"

    def __init__(self, modules: tuple[Module, ...] = ()) -> None:
        self.queue: deque[DebuggerEvent] = deque()
        self.continues = 0
        self._modules = list(modules)
        self._never = threading.Event()

    def say(self, *texts: str) -> None:
        self.queue.extend(PrintReceived(text.encode("utf-8"), 0, 1.5) for text in texts)

    def listen(self) -> None: ...

    def attach(self, *, timeout: float) -> TargetInfo:
        return TargetInfo(18362, 0x8664, 1, 0, "scripted")

    def go(self) -> None:
        self.continues += 1

    def break_in(self, *, timeout: float) -> Stopped:
        return Stopped("break-in", 0x80000003, 0)

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        if self.queue:
            return self.queue.popleft()
        self._never.wait(timeout)
        return None

    def modules(self) -> list[Module]:
        return self._modules

    def detach(self, *, timeout: float) -> Release:
        return Release(True, "it says so")


class ScriptedMachine:
    """Is in a state, or does not answer."""

    name = "scripted"
    deterministic = True

    def __init__(self, status: MachineStatus | None) -> None:
        self._status = status

    def status(self) -> MachineStatus:
        if self._status is None:
            raise TargetLost("the machine does not answer")
        return self._status

    def connection(self) -> Connection:
        return TcpConnection("127.0.0.1", 5554)

    def start(self, boot: BootOptions) -> None: ...

    def guest(self) -> ScriptedGuest:
        raise NotImplementedError

    def describe(self) -> dict[str, str]:
        return {"type": self.name}

    def stop(self) -> None: ...

    def close(self) -> None: ...


class ScriptedGuest:
    """Does every action at once and prints its markers through the debugger."""

    def __init__(self, debugger: ScriptedDebugger) -> None:
        self._debugger = debugger
        self.calls: list[tuple[str, ...]] = []
        self.load_status = self.unload_status = 0
        self.action_status = 0
        self.marks = True
        self.makes = True
        self.refusal: Callable[[], ActionResult] | None = None

    def put(self, name: str, data: bytes) -> str:
        self.calls.append(("put", name))
        return f"C:\\procnotify\\{name}"

    def load_driver(self, name: str, path: str) -> int:
        self.calls.append(("load_driver", name, path))
        return self.load_status

    def unload_driver(self, name: str) -> int:
        self.calls.append(("unload_driver", name))
        return self.unload_status

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        self.calls.append(("act", *argv))
        if self.refusal is not None:
            return self.refusal()
        pid = 100 * step
        if self.marks:
            self._debugger.say(f"[actor] end {argv[0]} id={step} pid={pid} status={self.action_status}\n")
        made: dict[str, int | str] = {"child_pid": pid + 4, "child_tid": pid + 8, "new_tid": pid + 12}
        return ActionResult(argv[0], pid, self.action_status, made if self.makes else {})

    def settle(self, *, quiet: float, maximum: float) -> None:
        self.calls.append(("settle", str(quiet), str(maximum)))
