"""The native debugger: our own host side of KD, over KDNET or KDCOM.

::

    caller's thread                      link's thread
    NativeDebugger ── Conversation ── LinkThread ── kd.Session ── Transport

:mod:`.linkthread` acknowledges, :mod:`.conversation` sorts what arrives, :mod:`.targetmemory`,
:mod:`.breakpoints` and :mod:`.bugchecks` know what to ask a halted target; here is the order of it all.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

import harness
from harness.connection import Connection, NetConnection, parse_connection
from harness.debuggers.base import (
    BugcheckSeen,
    DebuggerEvent,
    Disconnected,
    Module,
    Release,
    Stopped,
    TargetInfo,
    TargetRebooted,
)
from harness.debuggers.bugchecks import Banner, CrashEvidence
from harness.debuggers.images import LoadedImages
from harness.debuggers.native.attaching import (
    BREAK_IN_AGAIN,
    LinkOpener,
    await_session,
    break_in_until_halted,
)
from harness.debuggers.native.breakpoints import Breakpoints
from harness.debuggers.native.callbackwatch import CallbackWatch
from harness.debuggers.native.comeback import Comeback
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.inbox import Halt, InboxItem
from harness.debuggers.native.leftovers import remove_leftovers
from harness.debuggers.native.linkthread import LinkThread
from harness.debuggers.native.registers import Registers
from harness.debuggers.native.resuming import resume
from harness.debuggers.native.servedfiles import MAX_KDCOM_READ, MAX_KDNET_READ, ServedFiles
from harness.debuggers.native.stackwords import processors_stacks
from harness.debuggers.native.stopdescription import describe_stop, read_bugcheck
from harness.debuggers.native.targetmemory import REQUEST_SECONDS, TargetMemory, UnreadableMemory
from harness.debuggers.prompts import answer_prompt
from harness.debuggers.release import release
from harness.debuggers.stops import DEBUGGER_EXCEPTIONS
from harness.errors import ConnectionFailed, RigError, TargetLost, UsageError
from harness.kd.contexts import Context
from harness.kd.manipulate import GetVersion64, Manipulate
from harness.kd.statechange import Exception64, StateChange
from harness.kd.status import STATUS_BREAKPOINT

__all__ = ["NativeDebugger"]

SPIN: Final = 0.02
"""Seconds to look for the next datagram without sleeping, while the target runs."""
SILENCE: Final = 30.0
"""A KDNET target sends something every three seconds, whatever it does."""
LATE_BREAK_IN_SECONDS: Final = 0.5
"""For a break-in that the target may still find in its queue."""


class NativeDebugger:
    """See :class:`harness.debuggers.base.Debugger`; besides it reads and writes memory, registers and
    breakpoints.

    :param connection: as for WinDbg's ``-k``.
    :param prompts: what to type at a DbgPrompt.
    :param spin: seconds of looking for the next datagram without sleeping; 0 sleeps at once.
    :param silence: seconds without any datagram after which a running KDNET target counts as lost; None =
    never.
    """

    name = "native"

    def __init__(
        self,
        connection: str | Connection,
        *,
        prompts: Callable[[str], str] = answer_prompt,
        spin: float | None = None,
        silence: float | None = SILENCE,
    ) -> None:
        self._connection = parse_connection(connection) if isinstance(connection, str) else connection
        over_net = isinstance(self._connection, NetConnection)
        self._silence = silence if over_net else None
        self.files = ServedFiles(MAX_KDNET_READ if over_net else MAX_KDCOM_READ)
        self._talk = Conversation(prompts, self.files)
        self._link_opener = LinkOpener(
            self._connection,
            self._talk,
            spin if spin is not None else (SPIN if (os.cpu_count() or 1) > 1 else 0.0),
        )
        self._link: LinkThread | None = None
        self._watch: CallbackWatch | None = None
        self._use_version(GetVersion64())
        self._evidence = CrashEvidence()
        self._crashed = False
        self._processors = 0
        self._comeback = Comeback(self._talk)
        self._later: deque[DebuggerEvent] = deque()
        """Events that come behind one that was found out because of them."""

    # Debugger

    def listen(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.listen`; over KDCOM: connect to the serial port, or let
        the machine connect. One that is not there yet is no error: :meth:`attach` waits for it."""
        if self._link is not None:
            raise UsageError("this debugger listens already")
        self._link = self._link_opener.listen()

    def attach(self, *, timeout: float) -> TargetInfo:
        """See :meth:`harness.debuggers.base.Debugger.attach`."""
        deadline = perf_counter() + timeout
        if self._link is None:
            self._link = self._link_opener.connect(deadline)
        self._talk.continue_loads = False
        if isinstance(self._connection, NetConnection):
            await_session(self._talk, self._connection, deadline)
        change = break_in_until_halted(self._talk, deadline, timeout)
        version = self._ask_version(max(deadline - perf_counter(), 1.0))
        self._use_version(version)
        remove_leftovers(self._ask, version.machine_type, change.number_processors)
        if not isinstance(self._connection, NetConnection) and self._connection.reconnect:
            self._comeback.remember(version.kernel_base, self.interrupt_time())
        self._crashed = self._bugcheck(change) is not None
        self._processors = change.number_processors
        stop = self._stopped(change)
        return TargetInfo(
            build=version.minor_version,
            machine_type=version.machine_type,
            processors=change.number_processors,
            kernel_base=version.kernel_base,
            debugger_version=f"native {harness.__version__}",
            stop=None if self._crashed or stop.code in (0, *DEBUGGER_EXCEPTIONS) else stop,
        )

    def go(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.go`."""
        change = self._talk.take_halt()
        if change is None:
            raise UsageError("the target runs already")
        way = resume(change, self._talk, self._memory, self._registers, self._breakpoints, self._watch)
        if way is None:
            return
        self._talk.continue_loads = self._watch is None or self._watch.over
        self._require_link().busy = True
        self._registers.written = False
        try:
            self._talk.command(way, REQUEST_SECONDS)
        except TargetLost:
            if self._require_link().is_open:
                raise
            return  # it is sent until the connection is back and it is acknowledged

    def break_in(self, *, timeout: float) -> Stopped:
        """See :meth:`harness.debuggers.base.Debugger.break_in`."""
        deadline = perf_counter() + timeout
        while True:
            change = break_in_until_halted(self._talk, deadline, timeout)
            self._require_link().busy = False
            for item in self._talk.unread():
                self._evidence.see(item)  # a bugcheck's banner comes before its stop
            if not self._watch_sees(change):
                break
            if self._watch is not None and not self._watch.over:
                # It may come from one to the next without end, and it stands still.
                return Stopped("a callback", 0, change.program_counter, break_in=True)
            self.go()
            self._talk.await_halt(min(BREAK_IN_AGAIN, max(deadline - perf_counter(), 0.0)))
        event = self._describe_halt(change)
        if isinstance(event, BugcheckSeen):
            raise event.error()
        return event

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        """See :meth:`harness.debuggers.base.Debugger.receive`."""
        if self._later:
            return self._later.popleft()
        item = self._comeback.take(timeout) if self._link is not None else self._talk.take(0.0)
        if item is not None:
            return self._event(item)
        if self._link is not None and self._silence is not None and self._talk.sessions:
            self._link.require_sign_of_life(self._silence)
        return None

    def modules(self) -> list[Module]:
        """See :meth:`harness.debuggers.base.Debugger.modules`; where the target has no list, what it
        reported."""
        modules = self._memory.modules()
        self._evidence.see_modules(modules)
        return modules or self._evidence.modules

    def detach(self, *, timeout: float) -> Release:
        """See :meth:`harness.debuggers.base.Debugger.detach`; on a link that loses datagrams the timeout
        grows with its loss."""
        if self._link is None:
            self._link_opener.close()
            return Release(None, "the debugger was never connected")
        talk = self._talk
        timeout *= self._link.patience
        talk.deadline = perf_counter() + timeout
        try:
            if not talk.sessions and not talk.heard:
                return Release(None, "no target was ever connected")
            if not self._link.is_open:
                return Release(None, "the connection was closed, and nobody has come back")
            return release(self, timeout=timeout, crashed=self._crashed)
        finally:
            self._link.stop()
            self._link_opener.close()
            self._link = self._talk.link = None

    # What its release needs (harness.debuggers.release.Releasable)

    @property
    def halted(self) -> bool:
        """The target stands still for this debugger."""
        return self._talk.halt is not None

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint; the target is halted."""
        self._breakpoints.clear_all()
        if self._watch is not None:
            self._watch.clear()

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""
        try:
            return self._memory.interrupt_time()
        except UnreadableMemory:
            return None

    def stacks(self, *, timeout: float) -> list[tuple[int, ...]]:
        """See :class:`harness.debuggers.whereabouts.StackDebugger`."""
        return processors_stacks(
            self._registers, self._memory, self._talk.processor, self._processors, timeout=timeout
        )

    def let_go(self) -> None:
        """Continue for the last time. A break-in that was sent twice, and a processor that steps past a
        breakpoint, may stop the target once more, when nobody is there to let it go: it is waited for."""
        self.go()
        late = self._talk.break_ins
        while (late > 0 or self._is_stepping) and self._talk.wait(lambda: self.halted, LATE_BREAK_IN_SECONDS):
            if (change := self._talk.take_halt()) is None or not self._watch_sees(change):
                self.break_in(timeout=0.0)
                late -= 1
            self.go()

    @property
    def _is_stepping(self) -> bool:
        return self._watch is not None and self._watch.stepping

    def await_reboot(self, timeout: float) -> bool:
        """Whether the target says within ``timeout`` seconds that it reboots."""
        reboots = self._talk.reboots
        return self._talk.wait(lambda: self._talk.reboots > reboots, timeout)

    # What a halted target can be asked

    @property
    def memory(self) -> TargetMemory:
        """Reads and writes the target's memory."""
        return self._memory

    @property
    def breakpoints(self) -> Breakpoints:
        """Sets and clears breakpoints."""
        return self._breakpoints

    def watch_callbacks(self) -> None:
        """See :meth:`harness.debuggers.base.CallbackDebugger.watch_callbacks`."""
        watch = self._make_watch()
        watch.arm()
        self._watch = watch

    def get_context(self) -> Context:
        """The processor's registers; :class:`UnreadableMemory` where the target has none to give."""
        return self._registers.read()

    def set_context(self, context: Context) -> None:
        """Write the registers; the target goes on with these."""
        self._registers.written = True
        self._registers.write(context)

    # Inside

    def _make_watch(self) -> CallbackWatch:
        return CallbackWatch(self._ask, self._version, self._memory, self._registers, LoadedImages(self))

    def _renew_watch(self) -> None:
        if self._watch is not None:
            self._watch = self._make_watch()

    def _ask(self, request: Manipulate, timeout: float) -> Manipulate:
        return self._talk.request(request, timeout)

    def _ask_version(self, timeout: float) -> GetVersion64:
        version = self._talk.request(GetVersion64(), timeout)
        if not version.succeeded:
            raise ConnectionFailed(f"the target refuses GetVersion (status 0x{version.status:08x})")
        return version

    def _use_version(self, version: GetVersion64) -> None:
        self._version = version
        self._talk.machine = version.machine_type
        self._memory = TargetMemory(self._ask, version)
        self._breakpoints = Breakpoints(self._ask, self._memory)
        self._registers = Registers(self._ask, version.machine_type, lambda: self._talk.processor)
        self._renew_watch()

    def _is_another_boot(self) -> bool:
        """The halted target, whose connection was closed, is not in the boot that it was in before."""
        try:
            version, clock = self._ask_version(REQUEST_SECONDS), self.interrupt_time()
        except (RigError, UsageError):
            return False  # closed again: it is looked at when it is back
        another = self._comeback.is_another_boot(version.kernel_base, clock)
        if another:
            self._use_version(version)
        return another

    def _require_link(self) -> LinkThread:
        if self._link is None:
            raise UsageError("the debugger is not connected", hint="call listen and attach first")
        return self._link

    def _event(self, item: InboxItem) -> DebuggerEvent | None:
        match item:
            case TargetRebooted() | Disconnected():
                self._comeback.see(item)
                if isinstance(item, TargetRebooted):
                    self._forget_boot()
                return item
            case Halt(change):
                if self._link is not None:
                    self._link.busy = False
                if not self._comeback.is_to_be_known or not self._is_another_boot():
                    if self._watch_sees(change):
                        self.go()
                        return self.receive(timeout=0.0)
                    return self._describe_halt(change)
                self._forget_boot()
                self._later.append(self._describe_halt(change))
                return TargetRebooted(announced=False)
            case _:
                self._evidence.see(item)
                return item

    def _watch_sees(self, change: StateChange) -> bool:
        """Whether the stop is one for a callback, or for an image: nothing that anybody asked for."""
        if self._watch is None:
            return False
        if not self._watch.armed:
            self._use_version(self._ask_version(REQUEST_SECONDS))  # another boot's
        seen = self._watch.take(change)
        if seen is None:
            return False
        self._talk.put_in(seen)
        return True

    def _forget_boot(self) -> None:
        self._evidence.forget()
        self._breakpoints.forget()
        self._renew_watch()
        self._crashed = False

    def _describe_halt(self, change: StateChange) -> BugcheckSeen | Stopped:
        self._breakpoints.reported(change)
        bugcheck = self._bugcheck(change)
        if bugcheck is None:
            return self._stopped(change)
        self._crashed = True
        with contextlib.suppress(UnreadableMemory, UsageError):  # what was seen so far will have to do
            self.modules()
        return self._evidence.bugcheck(*bugcheck, kernel_base=self._version.kernel_base)

    def _bugcheck(self, change: StateChange) -> Banner | None:
        if not isinstance(change, Exception64) or change.exception_code != STATUS_BREAKPOINT:
            return None
        return self._evidence.banner or read_bugcheck(self._registers, self._memory)

    def _stopped(self, change: StateChange) -> Stopped:
        return describe_stop(change, self._registers, self._talk)
