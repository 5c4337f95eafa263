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
from collections.abc import Callable
from time import perf_counter
from typing import Final

import harness
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
from harness.debuggers.bugchecks import Banner, CrashEvidence
from harness.debuggers.native.attaching import await_session, break_in_until_halted, start_link
from harness.debuggers.native.breakpoints import Breakpoints
from harness.debuggers.native.conversation import Conversation, continue_record
from harness.debuggers.native.inbox import Halt, InboxItem
from harness.debuggers.native.linkthread import LinkThread
from harness.debuggers.native.registers import Registers
from harness.debuggers.native.stackwords import MAX_PROCESSORS, stack_words
from harness.debuggers.native.targetmemory import REQUEST_SECONDS, TargetMemory, UnreadableMemory
from harness.debuggers.native.transport import PortRefused, await_transport, open_transport
from harness.debuggers.prompts import answer_prompt
from harness.debuggers.release import release
from harness.debuggers.stops import DEBUGGER_EXCEPTIONS, command_stop, continue_status, exception_stop
from harness.errors import ConnectionFailed, DriverBugcheck, TargetLost, UsageError
from harness.kd.contexts import Context
from harness.kd.manipulate import GetVersion64, Manipulate
from harness.kd.statechange import CommandString, Exception64, LoadSymbols, StateChange
from harness.kd.status import (
    DBG_CONTINUE,
    DBG_STATUS_BUGCHECK_FIRST,
    DBG_STATUS_BUGCHECK_SECOND,
    DBG_STATUS_CONTROL_C,
    STATUS_BREAKPOINT,
    STATUS_SINGLE_STEP,
)

__all__ = ["NativeDebugger"]

SPIN: Final = 0.02
"""Seconds to look for the next datagram without sleeping, while the target runs."""
SILENCE: Final = 30.0
"""A KDNET target sends something every three seconds, whatever it does."""
STEP_SECONDS: Final = 5.0
LATE_BREAK_IN_SECONDS: Final = 0.5
"""For a break-in that the target may still find in its queue."""
_BUGCHECK_STATUSES: Final = (DBG_STATUS_BUGCHECK_FIRST, DBG_STATUS_BUGCHECK_SECOND)
_BREAK_IN_STATUSES: Final = (0, DBG_STATUS_CONTROL_C)
"""0: a processor whose arguments are not in registers."""


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
        cores = os.cpu_count() or 1
        self._spin = spin if spin is not None else (SPIN if cores > 1 else 0.0)
        self._silence = silence if isinstance(self._connection, NetConnection) else None
        self._talk = Conversation(prompts)
        self._link: LinkThread | None = None
        self._version = GetVersion64()
        self._memory = TargetMemory(self._ask, self._version)
        self._breakpoints = Breakpoints(self._ask, self._memory)
        self._registers = self._make_registers()
        self._evidence = CrashEvidence()
        self._crashed = False
        self._processors = 0

    # Debugger

    def listen(self) -> None:
        """See :meth:`harness.debuggers.base.Debugger.listen`; over KDCOM: connect to the serial port. One
        that is not there yet is no error, for its machine may not be: :meth:`attach` waits for it."""
        if self._link is not None:
            raise UsageError("this debugger listens already")
        with contextlib.suppress(PortRefused):
            transport = open_transport(self._connection)
            self._link = start_link(self._connection, transport, self._talk, self._spin)

    def attach(self, *, timeout: float) -> TargetInfo:
        """See :meth:`harness.debuggers.base.Debugger.attach`."""
        deadline = perf_counter() + timeout
        if self._link is None:
            transport = await_transport(self._connection, deadline)
            self._link = start_link(self._connection, transport, self._talk, self._spin)
        self._talk.continue_loads = False
        if isinstance(self._connection, NetConnection):
            await_session(self._talk, self._connection, deadline)
        change = break_in_until_halted(self._talk, deadline, timeout)
        version = self._talk.request(GetVersion64(), max(deadline - perf_counter(), 1.0))
        if not version.succeeded:
            raise ConnectionFailed(f"the target refuses GetVersion (status 0x{version.status:08x})")
        self._version = version
        self._talk.machine = version.machine_type
        self._memory = TargetMemory(self._ask, version)
        self._breakpoints = Breakpoints(self._ask, self._memory)
        self._registers = self._make_registers()
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
        self._skip_breakpoint_instruction(change)
        if self._breakpoints.to_step_over(change) and not self._step():
            return
        self._breakpoints.insert_again()
        self._talk.continue_loads = True
        self._require_link().busy = True
        self._registers.written = False
        status = continue_status(change.exception_code) if isinstance(change, Exception64) else DBG_CONTINUE
        self._talk.command(continue_record(self._talk.machine, status=status), REQUEST_SECONDS)

    def break_in(self, *, timeout: float) -> Stopped:
        """See :meth:`harness.debuggers.base.Debugger.break_in`."""
        change = break_in_until_halted(self._talk, perf_counter() + timeout, timeout)
        self._require_link().busy = False
        for item in self._talk.unread():
            if isinstance(item, PrintReceived):
                self._evidence.see_print(item.text)  # a bugcheck's banner comes before its stop
        event = self._describe_halt(change)
        if isinstance(event, BugcheckSeen):
            raise DriverBugcheck(event.code, event.parameters, module=event.module)
        return event

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        """See :meth:`harness.debuggers.base.Debugger.receive`."""
        item = self._talk.take(timeout if self._link is not None else 0.0)
        if item is not None:
            return self._event(item)
        if self._link is not None:
            self._require_sign_of_life(self._link)
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
            return Release(None, "the debugger was never connected")
        talk = self._talk
        timeout *= self._link.patience
        talk.deadline = perf_counter() + timeout
        try:
            if not talk.sessions and not talk.heard:
                return Release(None, "no target was ever connected")
            return release(self, timeout=timeout, crashed=self._crashed)
        finally:
            self._link.stop()
            self._link = self._talk.link = None

    # What its release needs (harness.debuggers.release.Releasable)

    @property
    def halted(self) -> bool:
        """The target stands still for this debugger."""
        return self._talk.halt is not None

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint; the target is halted."""
        self._breakpoints.clear_all()

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""
        try:
            return self._memory.interrupt_time()
        except UnreadableMemory:
            return None

    def stacks(self, *, timeout: float) -> list[tuple[int, ...]]:
        """See :class:`harness.debuggers.whereabouts.StackDebugger`."""
        deadline = perf_counter() + timeout
        first = self._talk.processor
        others = (number for number in range(min(self._processors, MAX_PROCESSORS)) if number != first)
        stacks = [stack_words(self._registers, self._memory, first)]
        for number in others:
            if perf_counter() < deadline:
                stacks.append(stack_words(self._registers, self._memory, number))
        return [words for words in stacks if words]

    def let_go(self) -> None:
        """Continue for the last time. A break-in that was sent twice may stop the target once more, when
        nobody is there to let it go: it is waited for."""
        self.go()
        late = self._talk.break_ins
        while late and self._talk.wait(lambda: self.halted, LATE_BREAK_IN_SECONDS):
            self.break_in(timeout=0.0)
            self.go()
            late -= 1

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

    def get_context(self) -> Context:
        """The processor's registers; :class:`UnreadableMemory` where the target has none to give."""
        return self._registers.read()

    def set_context(self, context: Context) -> None:
        """Write the registers; the target goes on with these."""
        self._registers.written = True
        self._registers.write(context)

    # Inside

    def _make_registers(self) -> Registers:
        return Registers(self._ask, self._version.machine_type, lambda: self._talk.processor)

    def _ask(self, request: Manipulate, timeout: float) -> Manipulate:
        return self._talk.request(request, timeout)

    def _require_link(self) -> LinkThread:
        if self._link is None:
            raise UsageError("the debugger is not connected", hint="call listen and attach first")
        return self._link

    def _require_sign_of_life(self, link: LinkThread) -> None:
        silent = perf_counter() - link.heard_at
        if self._silence is not None and silent > self._silence and self._talk.sessions:
            raise TargetLost(
                f"nothing came from the target for {silent:.0f} s",
                hint="a KDNET target sends something every 3 s even when it is halted: is it still on?",
            )

    def _event(self, item: InboxItem) -> DebuggerEvent:
        match item:
            case PrintReceived(text=text):
                self._evidence.see_print(text)
                return item
            case ModuleLoaded(module=module):
                self._evidence.see_modules([module])
                return item
            case ModuleUnloaded():
                return item
            case TargetRebooted():
                self._evidence.forget()
                self._breakpoints.forget()
                self._crashed = False
                return item
            case Halt(change):
                if self._link is not None:
                    self._link.busy = False
                return self._describe_halt(change)

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
        if self._evidence.banner is not None:
            return self._evidence.banner
        try:
            data = (
                self._memory.bugcheck_data()
                if self._registers.first_argument() in _BUGCHECK_STATUSES
                else None
            )
        except (UnreadableMemory, UsageError):
            return None
        return None if data is None else Banner(*data)

    def _is_break_in(self, change: Exception64) -> bool:
        """This debugger asked for the stop. It asks again when the target is slow, so that one may come when
        the target runs on already."""
        if change.exception_code != STATUS_BREAKPOINT or not self._talk.break_ins:
            return False
        try:
            asked = self._registers.first_argument() in _BREAK_IN_STATUSES
        except (UnreadableMemory, UsageError):
            asked = True
        if asked:
            self._talk.answer_break_in()
        return asked

    def _stopped(self, change: StateChange) -> Stopped:
        match change:
            case Exception64():
                return exception_stop(
                    change.exception_code,
                    change.program_counter,
                    first_chance=bool(change.first_chance),
                    break_in=self._is_break_in(change),
                )
            case LoadSymbols():
                return Stopped(f"load symbols: {change.path}", 0, change.program_counter)
            case CommandString():
                # Never executed: the target is not trusted, and its text would run on the host.
                command = change.command.decode("utf-8", "backslashreplace")
                return command_stop(repr(command), change.program_counter)

    def _skip_breakpoint_instruction(self, change: StateChange) -> None:
        """The processor stands on an ``int3`` of the code's own: go on behind it.

        Where that is, the stop says. The context does not: a debugger that was killed may have moved it on
        already, and the target reports the same stop to the next one.
        """
        if not isinstance(change, Exception64) or change.exception_code != STATUS_BREAKPOINT:
            return
        if self._registers.written or self._breakpoints.to_step_over(change):
            return
        with contextlib.suppress(UnreadableMemory, UsageError):
            if self._memory.read(change.program_counter, 1) == b"\xcc":
                self._registers.move_to(change.program_counter + 1)

    def _step(self) -> bool:
        """Run one instruction. False: something else stopped the target first; it waits in the inbox."""
        self._talk.command(continue_record(self._talk.machine, step=True), REQUEST_SECONDS)
        if not self._talk.wait(lambda: self._talk.halt is not None, STEP_SECONDS):
            raise TargetLost("the target did not come back from a single step")
        change = self._talk.halt
        if isinstance(change, Exception64) and change.exception_code == STATUS_SINGLE_STEP:
            self._talk.take_halt()
            return True
        return False
