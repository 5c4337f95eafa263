"""A debugger that lives in a process of its own: what pykd and ntoseye have in common on this side.

Every phase has a deadline. A worker that misses one is killed; whatever becomes of it, the target is released
by the native debugger then, and the next debugger starts a fresh one.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any, Final

from harness.connection import Connection, NetConnection, parse_connection
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
from harness.debuggers.release import release
from harness.debuggers.rescue import LOOK_SECONDS, RESCUE_SECONDS, explain_silence, rescue
from harness.debuggers.workers.link import WorkerLink, WorkerProgram
from harness.errors import DebuggerDied, ProcnotifyError, TargetLost, UsageError
from harness.ports.transport import UdpTransport

__all__ = ["WorkerDebugger"]

_log = logging.getLogger(__name__)

KERNEL_NAMES: Final = ("ntoskrnl", "ntkrnl")
REQUEST_SECONDS: Final = 30.0
"""For what a halted target is asked; a memory read that fails is tried again by the debugger itself."""


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
        self._link: WorkerLink | None = None
        self._attached = False
        self._went = False
        """The target was let go after the attach."""
        self._crashed = False
        """The target has bugchecked and not yet rebooted, and the caller knows."""
        self._kernel_base = 0
        self._stop: Stopped | None = None
        self._pushed_back: deque[DebuggerEvent] = deque()
        self._evidence = CrashEvidence()
        self._release: Release | None = None

    # Debugger

    def listen(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.listen`; starts the worker."""
        if self._link is not None:
            raise UsageError("this debugger listens already")
        where = str(self._connection)
        if isinstance(self._connection, NetConnection):
            # What is wrong with the port is said better here than by any of the debuggers.
            port = UdpTransport(self._connection.port)
            port.close()
            where = port.name
        program = self._program()
        self._link = link = WorkerLink(self.name, program, self._way_to_target())
        try:
            link.await_listening()
        except DebuggerDied:
            if program.retry is None or link.heard:
                raise
            program.retry(link.was_hung)
            self._link = link = WorkerLink(self.name, program, self._way_to_target())
            link.await_listening()
        _log.info("listening at %s", where)

    def attach(self, *, timeout: float) -> TargetInfo:
        """See :meth:`harness.debuggers.base.Debugger.attach`."""
        if self._link is None:
            self.listen()
        link = self._require_link()
        facts = link.await_target(timeout)
        if facts is None:
            # Its wait for the target cannot be ended from outside.
            link.end()
            error, self._release = explain_silence(self._connection, self.name, timeout)
            raise error
        self._attached = True
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
        link = self._require_halted()
        self._stop, self._went = None, True
        link.go(REQUEST_SECONDS)

    def break_in(self, *, timeout: float) -> Stopped:
        """See :meth:`harness.debuggers.base.Debugger.break_in`."""
        if self._stop is not None:
            return self._stop
        link = self._require_link()
        if link.halted and self._attached and not self._went:
            return Stopped("halted to attach", 0, 0, break_in=True)  # no event came of that stop
        deadline = monotonic() + timeout
        kept: list[DebuggerEvent] = []
        if not link.halted:
            link.ask("break_in", {}, timeout)
        try:
            while (left := deadline - monotonic()) > 0:
                event = self._next(left)
                if isinstance(event, Stopped):
                    return event
                if isinstance(event, BugcheckSeen):
                    raise event.error()
                if event is not None:
                    kept.append(event)
        finally:
            self._pushed_back.extend(kept)
        raise link.hung(timeout)

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        """See :meth:`harness.debuggers.base.Debugger.receive`."""
        if self._pushed_back:
            return self._pushed_back.popleft()
        return self._next(timeout)

    def modules(self) -> list[Module]:
        """See :meth:`harness.debuggers.base.Debugger.modules`."""
        rows = self._require_halted().ask("modules", {}, REQUEST_SECONDS)["modules"]
        modules = [Module(str(name), int(base), int(size)) for name, base, size in rows]
        self._evidence.see_modules(modules)
        # Not where it was before a reboot.
        kernels = [module.base for module in modules if module.name.lower().startswith(KERNEL_NAMES)]
        self._kernel_base = kernels[0] if kernels else self._kernel_base
        return modules

    def execute(self, command: str, *, timeout: float) -> str:
        """See :meth:`harness.debuggers.base.CommandDebugger.execute`."""
        link = self._require_halted()
        answer, broken_off = link.execute(command, timeout)
        self._crashed = answer["bugcheck"] is not None
        if answer["gone"]:
            link.error = TargetLost(f"the command {command!r} ended {self.name}'s session")
        if answer["failed"]:
            said = " ".join(str(answer["output"]).split())
            raise UsageError(f"{self.name} refuses the command {command!r}: {said}")
        output = str(answer["output"])
        if broken_off:
            output = output if not output or output.endswith("\n") else f"{output}\n"
            output += (
                f"broken off after {timeout:g} s: nothing had stopped the target, or this takes longer\n"
            )
        return output

    def detach(self, *, timeout: float) -> Release:
        """See :meth:`harness.debuggers.base.Debugger.detach`. Where the worker is dead, or cannot prove that
        the target runs, the native debugger takes the target over; that may take longer than ``timeout``."""
        if self._release is None:
            self._release = self._detach(timeout)
        if self._link is not None:
            self._link.end()
        return self._release

    def _detach(self, timeout: float) -> Release:
        link = self._link
        if link is None:
            return Release(None, "the debugger was never connected")
        if not self._attached:
            # A worker that was ended while it attached may have halted a target all the same.
            why = f"{self.name} was stopped" if link.error is None else link.error.message
            link.end()
            return rescue(self._connection, why, timeout=LOOK_SECONDS)
        link.deadline = monotonic() + timeout
        if link.error is None:
            found = release(self, timeout=timeout, crashed=self._crashed)
            if found.running or found.crashed:
                return found
        why = found.proof if link.error is None else link.error.message
        link.end()
        return rescue(self._connection, why, timeout=RESCUE_SECONDS)

    # What its release needs (harness.debuggers.release.Releasable)

    @property
    def halted(self) -> bool:
        """The target stands still for this debugger."""
        return self._link is not None and self._link.halted

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint; the target is halted."""
        self._require_halted().ask("clear", {}, REQUEST_SECONDS)

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""
        value: Any = self._require_halted().ask("time", {}, REQUEST_SECONDS)["time"]
        return None if value is None else int(value)

    def let_go(self) -> None:
        """End the debugger's session; the target runs."""
        link = self._require_halted()
        link.ask("let_go", {}, REQUEST_SECONDS)
        link.halted = False

    def await_reboot(self, timeout: float) -> bool:
        """Whether the target says within ``timeout`` seconds that it reboots."""
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            if isinstance(self._next(left), TargetRebooted):
                return True
        return False

    # Inside

    def _way_to_target(self) -> AbstractContextManager[str]:
        """Gives the connection as the debugger takes it, for as long as its worker lives."""
        return nullcontext(str(self._connection))

    def _require_link(self) -> WorkerLink:
        if self._link is None:
            raise UsageError("the debugger is not connected", hint="call listen and attach first")
        return self._link

    def _require_halted(self) -> WorkerLink:
        link = self._require_link()
        if not link.halted:
            raise link.error or UsageError("the target is running", hint="break in first")
        return link

    def _next(self, timeout: float) -> DebuggerEvent | None:
        event = self._require_link().next(timeout)
        match event:
            case PrintReceived(text=text):
                self._evidence.see_print(text)
            case ModuleLoaded(module=module):
                self._evidence.see_modules([module])
            case TargetRebooted():
                self._evidence.forget()
                self._crashed = False
            case BugcheckSeen(code=code, parameters=parameters):
                self._crashed = True
                with contextlib.suppress(ProcnotifyError):  # what was seen so far will have to do
                    self.modules()
                return self._evidence.bugcheck(code, parameters, kernel_base=self._kernel_base)
            case Stopped():
                self._stop = event
            case ModuleUnloaded() | None:
                pass  # an image is kept in the evidence: a bugcheck may point into what is gone
        return event
