"""One live target: while the guest works, what the debugger hears becomes events.

The debugger stays on the caller's thread, for some are bound to one. A guest call blocks until the guest has
done it, and what it does prints; so guest calls run on a thread of their own while the caller's pumps. The
print stream is what orders things: a guest call that has returned says nothing about lines still on their
way, a marker that has arrived does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time
from typing import Protocol, TypeVar

from harness.breakpoints.seen import NO_ROOM, event_of
from harness.debuggers.base import (
    BugcheckSeen,
    CallbackSeen,
    Debugger,
    DebuggerEvent,
    Disconnected,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Release,
    RoutineRegistered,
    Stopped,
    TargetRebooted,
)
from harness.debuggers.images import ImagePlace, LoadedImages
from harness.debuggers.release import last_words
from harness.debuggers.stops import DEBUGGER_EXCEPTIONS, break_instruction, stop_events, unhandled_exception
from harness.debuggers.whereabouts import Whereabouts, find_whereabouts
from harness.errors import (
    DriverBugcheck,
    DriverHang,
    GuestError,
    ProcnotifyError,
    RigError,
    TargetLost,
    UsageError,
)
from harness.events import Event, Marker
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler, Grammar
from harness.machines.base import Machine
from harness.runs.watch import Watch
from harness.standingrules import BrokenRule

__all__ = ["PRINTS_WITHOUT_END", "Caller", "LiveTarget", "machine_says"]

POLL_SECONDS = 0.002
"""How long the pump listens before it looks whether the guest call has returned; part of a step's time."""

ASK_MACHINE_SECONDS = 5.0
"""After so long a silence, and again each time, the machine is asked whether it runs at all."""
STANDING_STILL = ("paused", "off")
"""What a machine can be that does not run; see :class:`harness.machines.base.MachineStatus`."""
DISTURBED = "the machine was interfered with"
"""What is known where only the machine's own word tells it."""
BEGAN_ANEW = "the target began anew without a word: it was reset, or its machine went back to a snapshot,"
"""What is known of a target that is there anew and has not said that it reboots."""
PRINTS_WITHOUT_END = (
    "does a callback of the driver print in a loop that does not end? a step that takes long wants a longer"
    " --step-timeout"
)

T = TypeVar("T")


class Caller(Protocol):
    """Who does a scenario's guest calls; :class:`LiveTarget` does, and listens meanwhile."""

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0, lasting: float = 0.0) -> T:
        """Let the guest do ``work``; what it returns."""

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Wait until ``arrived``; False when it will not be."""

    def await_quiet(self, what: str, *, quiet: float, maximum: float) -> None:
        """Wait until nothing was heard for ``quiet`` seconds, at the latest until ``maximum`` are over."""


class LiveTarget:
    """Pumps a running target. Use as a context manager: leaving ends the guest's thread.

    :param debugger: attached, the target running.
    :param machine: asked for evidence when the target falls silent.
    :param record: called with each event, in capture order, before anything else is done with it.
    :param watch: the deadlines.
    :param drivers: file names of the drivers, the one under test first: for telling that one of them hangs,
        and whose callbacks are seen.
    :param grammar: of the driver's lines; None: the built-in one.
    """

    def __init__(
        self,
        debugger: Debugger,
        machine: Machine,
        record: Callable[[Event], None],
        watch: Watch,
        drivers: Iterable[str] = (),
        grammar: Grammar | None = None,
    ) -> None:
        self._debugger = debugger
        self._machine = machine
        self._record = record
        self._watch = watch
        self._drivers = tuple(drivers)
        self._marked = monotonic()
        self._awaits_bugcheck = False
        self._divided = False
        """The trace says already that the target began anew."""
        self.interruption = ""
        """What happened to the target while it was released, in words; empty where nothing did."""
        self._assembler = EventAssembler(grammar or builtin_grammar())
        self._images = LoadedImages(debugger)
        self._guest = ThreadPoolExecutor(max_workers=1, thread_name_prefix="guest")

    def __enter__(self) -> LiveTarget:
        return self

    def __exit__(self, *_: object) -> None:
        # A call that is still out returns when its machine is stopped; that is the caller's next act.
        self._guest.shutdown(wait=False)

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0, lasting: float = 0.0) -> T:
        """Let the guest do ``work`` and pump until it has.

        :param what: for messages, "step 'launch notepad.exe'".
        :param quiet: seconds for which silence is part of the work, of a guest whose clock is the host's.
        :param lasting: seconds that the work may take of itself while lines come, where that is more.
        :raises ProcnotifyError: what ``work`` raised; a bugcheck, a stop, a reboot, silence or prints without
            end meanwhile.
        """
        answer = self._guest.submit(work)
        quiet_since = self._marked = monotonic()
        ask_after = ASK_MACHINE_SECONDS
        while not answer.done():
            if self._pump(POLL_SECONDS):
                quiet_since = monotonic()
                self._require_an_end(what, quiet_since - self._marked, max(quiet, lasting))
                ask_after = ASK_MACHINE_SECONDS
            elif (silent := monotonic() - quiet_since) > self._watch.silence + quiet:
                raise self._silent(what)
            elif silent > ask_after:
                ask_after += ASK_MACHINE_SECONDS
                self._require_a_moving_machine(what)
        try:
            result = answer.result()
        except DriverBugcheck:
            self._await_bugcheck()
            raise
        except TargetLost as error:
            raise self._with_machines_word(error) from None
        except GuestError:
            self._require_the_same_guest(what)  # the guest may well refuse what another one began
            raise
        self._require_the_same_guest(what)
        return result

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Pump until ``arrived``; False when no line at all came for the watch's ``lines`` seconds.

        :param what: for the message when the target is lost meanwhile.
        :raises DriverHang: it printed for the watch's ``printing`` seconds, and nothing else.
        """
        quiet_since = self._marked = monotonic()
        while not arrived():
            if self._pump(self._watch.lines / 20):
                quiet_since = monotonic()
                self._require_an_end(what, quiet_since - self._marked, 0.0)
            elif monotonic() - quiet_since > self._watch.lines:
                return False
        return True

    def await_quiet(self, what: str, *, quiet: float, maximum: float) -> None:
        """Pump until nothing was heard for ``quiet`` seconds of host time, at the latest until ``maximum``
        are over: of a guest that cannot tell by itself that it has settled, nothing better is known."""
        begun = quiet_since = monotonic()
        while (left := min(quiet_since + quiet, begun + maximum) - monotonic()) > 0:
            if self._pump(left):
                quiet_since = monotonic()

    def finish(self) -> None:
        """Record what was left unfinished: a line without its end, a split line without all its parts."""
        self._emit(self._assembler.flush())

    def record_broken_rules(self, broken: Iterable[BrokenRule]) -> None:
        """Record what the target noticed of its drivers."""
        for rule, driver, message in broken:
            self._emit(self._assembler.rule_broken(rule, driver, message))

    def finish_release(self, release: Release) -> None:
        """Record what the target still said, and why it stopped, while the debugger let it go."""
        for event in last_words(self._debugger):
            match event:
                case PrintReceived():
                    self._emit_print(event)
                case CallbackSeen():
                    self._see(event)
                case TargetRebooted():
                    self._divide()
                    self.interruption = BEGAN_ANEW
        if not self._divided and self._is_disturbed():
            self._divide()
            self.interruption = DISTURBED
        self.finish()
        for stop in release.stops:
            self._record_stop(stop)
        if release.bugcheck is not None:
            self.record_bugcheck(release.bugcheck)

    def record_bugcheck(self, crash: BugcheckSeen) -> None:
        """Record what was unfinished, then the bugcheck."""
        self._emit(self._assembler.bugcheck(crash.code, crash.parameters, crash.module, crash.offset))

    def _pump(self, timeout: float) -> bool:
        """Take one thing from the debugger; False when there was none."""
        try:
            event = self._debugger.receive(timeout=timeout)
        except TargetLost as error:
            raise self._with_machines_word(error) from None
        if event is None:
            return False
        self._handle(event)
        return True

    def _handle(self, event: DebuggerEvent) -> None:
        match event:
            case PrintReceived():
                self._emit_print(event)
            case BugcheckSeen():
                self.record_bugcheck(event)
                raise event.error()
            case Stopped(break_in=True):
                self._let_go()  # our own, asked for twice because the target was slow
            case Stopped():
                self._stopped(event)
            case TargetRebooted():
                self._divide()
                story = BEGAN_ANEW if event.announced is False else "the target rebooted"
                raise TargetLost(f"{story} in the middle of the run; {machine_says(self._machine)}")
            case CallbackSeen():
                self._see(event)
            case RoutineRegistered(unseen=unseen) if unseen == NO_ROOM and self._is_under_test(event.driver):
                raise RigError(f"{event}", hint="--witness print, or target, sees those of any number")
            case RoutineRegistered():
                pass
            case Disconnected(reason=reason):
                self._emit(self._assembler.disconnect())
                raise TargetLost(f"{reason} in the middle of the run; {machine_says(self._machine)}")
            case ModuleLoaded() | ModuleUnloaded():
                # The driver's own lines tell the same, in their place among the others.
                self._images.see(event)

    def _stopped(self, stop: Stopped) -> None:
        place = self._record_stop(stop)
        if self._awaits_bugcheck:
            self._let_go()  # the first fault is the one that is told
            return
        if stop.code == 0 or stop.code in DEBUGGER_EXCEPTIONS:
            raise break_instruction(stop, place)
        self._let_go()
        if not stop.first_chance:
            self._await_bugcheck()
            raise unhandled_exception(stop, place)

    def _let_go(self) -> None:
        with contextlib.suppress(UsageError):  # reset meanwhile: it runs already
            self._debugger.go()

    def _record_stop(self, stop: Stopped) -> ImagePlace | None:
        place = self._images.place(stop.address)
        self._emit(stop_events(self._assembler, stop, place))
        return place

    def _is_under_test(self, driver: str) -> bool:
        return driver.casefold() == next(iter(self._drivers), "").casefold()

    def _see(self, seen: CallbackSeen) -> None:
        if self._is_under_test(seen.driver):
            host_time = None if self._machine.deterministic else time()
            self._emit(self._assembler.take(event_of(seen, host_time)))

    def _emit_print(self, event: PrintReceived) -> None:
        host_time = None if self._machine.deterministic else event.host_time
        self._emit(self._assembler.feed_bytes(event.data, host_time, event.processor))

    def _emit(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Marker):
                self._marked = monotonic()
            self._record(event)

    def _divide(self) -> None:
        """Mark in the trace that what comes is another boot's."""
        self._divided = True
        self._emit(self._assembler.reboot())

    def _require_an_end(self, what: str, printing: float, lasting: float) -> None:
        """Raises :class:`DriverHang` when the target has printed for too long."""
        if printing <= self._watch.printing + lasting:
            return
        story = f"the target printed for {printing:.0f} s without end during {what}"
        try:
            found = self._break_in()
        except RigError as error:
            where, address = error.message, None  # whoever prints so long without an end is the driver
        else:
            where, address = f"it executes {found}", found.address
        raise DriverHang(
            f"{story}; {where}",
            address=address,
            hint=PRINTS_WITHOUT_END,
        )

    def _require_a_moving_machine(self, what: str) -> None:
        """Raises :class:`TargetLost` when the hypervisor says that its machine does not run, or was reset:
        nothing more will come of it."""
        if self._machine.deterministic:
            return  # it has no hypervisor
        try:
            status = self._machine.status()
        except ProcnotifyError:
            return  # the silence is told with it
        if status.disturbed or status.state in STANDING_STILL:
            raise TargetLost(f"the target fell silent during {what}; {machine_says(self._machine)}")

    def _require_the_same_guest(self, what: str) -> None:
        """Raises :class:`TargetLost` when the machine was reset or went back to a snapshot, which a guest
        that answers and a debugger's link may both outlive; the trace is divided there."""
        if self._is_disturbed():
            self._divide()
            raise TargetLost(f"{DISTURBED} during {what}; {machine_says(self._machine)}")

    def _is_disturbed(self) -> bool:
        if self._machine.deterministic:
            return False
        try:
            return self._machine.status().disturbed
        except ProcnotifyError:
            return False  # what is lost is told as that

    def _break_in(self) -> Whereabouts:
        try:
            return find_whereabouts(self._debugger, self._images, self._drivers, timeout=self._watch.silence)
        except DriverBugcheck as crash:
            self.record_bugcheck(BugcheckSeen.of(crash))
            raise

    def _silent(self, what: str) -> TargetLost | DriverHang:
        """Where it breaks in, its clock moves and its driver executes, the driver hangs; else it is lost."""
        story = f"the target was silent for {self._watch.silence:g} s during {what}"
        evidence = machine_says(self._machine)
        try:
            found = self._break_in()
        except (RigError, UsageError) as error:
            return TargetLost(f"{story}; {evidence}; {error.message}")
        if found.in_driver and found.clock_moves:
            return DriverHang(
                f"{story} while its clock moved; the driver executes {found}", address=found.address
            )
        return TargetLost(f"{story}; {evidence}; broken into, it executes {found}")

    def _with_machines_word(self, error: TargetLost) -> TargetLost:
        """The error with what the machine itself says, unless that is the same."""
        word = machine_says(self._machine)
        if word in error.message:
            return error
        return TargetLost(f"{error.message}; {word}", hint=error.hint)

    def _await_bugcheck(self) -> None:
        """The debugger's word on a bugcheck has the module, and its place in the trace: prefer it.

        A target that stops again and again meanwhile makes the wait no longer.
        """
        deadline = monotonic() + self._watch.bugcheck
        self._awaits_bugcheck = True
        try:
            while monotonic() < deadline:
                self._pump(self._watch.bugcheck / 20)
        finally:
            self._awaits_bugcheck = False


def machine_says(machine: Machine) -> str:
    """What the machine says of itself, for messages."""
    try:
        status = machine.status()
    except ProcnotifyError as error:
        return error.message
    detail = f" ({status.detail})" if status.detail else ""
    return f"the machine says it is {status.state}{detail}"
