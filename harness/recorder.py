"""Recording a target that is already there: attach, let it run, keep what it prints, leave it running.

Unlike a run (:mod:`harness.runs`) nothing is done to the target but the break-in at attach. A stop that is no
bugcheck is let go at once; a reboot is waited through, and so is a connection that is closed, where the
debugger opens it again; however the recording ends, the target is released.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic, time

from harness.breakpoints.seen import event_of
from harness.debuggers.base import (
    BugcheckSeen,
    CallbackDebugger,
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
    TargetInfo,
    TargetRebooted,
)
from harness.debuggers.images import LoadedImages
from harness.debuggers.release import last_words
from harness.debuggers.stops import StopTally, stop_events, unhandled_exception
from harness.errors import DriverFault, ProcnotifyError, TargetLost, UsageError
from harness.events import Bugcheck, Event
from harness.grammars import builtin_grammar
from harness.internal import internal_error
from harness.lines import EventAssembler, Grammar

__all__ = ["DETACH_SECONDS", "MAX_REGISTERED", "Recorder", "Recording"]

DETACH_SECONDS = 10.0
"""For the proof that the target was left running."""
_POLL_SECONDS = 0.2
MAX_REGISTERED = 64
"""Registered callbacks of which is told; further ones are seen all the same."""


@dataclass(frozen=True)
class Recording:
    """How a recording ended."""

    release: Release
    bugcheck: Bugcheck | None
    """The target's first bugcheck; None when it had none."""
    reboots: int
    stops: StopTally
    """Stops that were let go: exceptions, break instructions, commands for the host."""
    unhandled: DriverFault | None
    """The first exception that nothing in the target handled; a bugcheck follows where the target goes on."""
    interrupted: bool
    """Ctrl-C ended it."""
    error: ProcnotifyError | None
    """What ended it early: the link died, the target fell silent, or something that nobody foresaw."""
    registered: tuple[RoutineRegistered, ...] = ()
    """Callbacks that drivers registered while they were watched; the first :data:`MAX_REGISTERED`."""


class Recorder:
    """Records one target.

    :param debugger: not listening yet.
    :param attached: called once the target is known, before it runs on; opens the trace, for example.
    :param record: called with each event, in capture order.
    :param grammar: of the driver's lines; None: the built-in one.
    :param callbacks: see callbacks at breakpoints as well, of every driver that registers one from now on;
        the debugger is one that can (:class:`~harness.debuggers.base.CallbackDebugger`).
    """

    def __init__(
        self,
        debugger: Debugger,
        attached: Callable[[TargetInfo], None],
        record: Callable[[Event], None],
        grammar: Grammar | None = None,
        *,
        callbacks: bool = False,
    ) -> None:
        self._debugger = debugger
        self._attached = attached
        self._record = record
        self._assembler = EventAssembler(grammar or builtin_grammar())
        self._bugcheck: Bugcheck | None = None
        self._crashes = 0
        self._reboots = 0
        self._stops = StopTally()
        self._images = LoadedImages(debugger)
        self._unhandled: DriverFault | None = None
        self._callbacks = callbacks
        self._registered: list[RoutineRegistered] = []
        self._error: ProcnotifyError | None = None

    def run(self, *, attach_timeout: float, duration: float | None) -> Recording:
        """Attach and record for ``duration`` seconds, or until Ctrl-C.

        :param attach_timeout: seconds to wait for the target.
        :raises ProcnotifyError: no target came; whatever ends a recording after that is in the result, what
            nobody foresaw as an :class:`~harness.errors.InternalError`.
        """
        interrupted = attached = False
        try:
            with self._keeping_error():
                self._debugger.listen()
                info = self._debugger.attach(timeout=attach_timeout)
                attached = True
                self._attached(info)
                if self._callbacks:
                    assert isinstance(self._debugger, CallbackDebugger), "it sees no callbacks"
                    self._debugger.watch_callbacks()
                if info.stop is not None:
                    self._record_stop(info.stop)
                self._debugger.go()
                self._listen(None if duration is None else monotonic() + duration)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            release = self._release()
        if self._error is not None and not attached:
            if release.running is not None:
                self._error.message += f"; {release}"
            raise self._error
        with self._keeping_error():
            for event in last_words(self._debugger):
                with self._keeping_error():
                    self._handle(event)
        with self._keeping_error():
            self._emit(self._assembler.flush())
        with self._keeping_error():
            self._see_release(release)
        if self._error is None and not release.running and not release.crashed:
            self._error = TargetLost(str(release), hint=release.way_out)
        return Recording(
            release,
            self._bugcheck,
            self._reboots,
            self._stops,
            self._unhandled,
            interrupted,
            self._error,
            tuple(self._registered),
        )

    @contextlib.contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """What is raised ends what is inside, and not the recording: that is brought to its end."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # it is in the result
            self._keep(error)

    def _keep(self, error: Exception) -> None:
        """The first error is the one that ended the recording."""
        if self._error is not None:
            return
        if isinstance(error, ProcnotifyError):
            self._error = error
        else:
            self._error = internal_error(error)
            self._error.__cause__ = error

    def _listen(self, deadline: float | None) -> None:
        while deadline is None or monotonic() < deadline:
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - monotonic())
            event = self._debugger.receive(timeout=max(left, 0.0))
            if event is not None and not self._handle(event):
                return

    def _handle(self, event: DebuggerEvent) -> bool:
        """False: the recording is over."""
        match event:
            case PrintReceived(data=data, processor=processor, host_time=host_time):
                self._emit(self._assembler.feed_bytes(data, host_time, processor))
            case BugcheckSeen():
                self._crashes += 1
                if self._crashes > 1:
                    return False  # the break after a bugcheck may come again and again
                self._record_bugcheck(event)
                self._let_go()
            case Stopped(break_in=True):
                self._let_go()  # our own, asked for twice because the target was slow
            case Stopped():
                self._record_stop(event)
                self._let_go()
            case TargetRebooted():
                self._reboots += 1
                self._crashes = 0
                self._images.see(event)
                self._emit(self._assembler.reboot())
            case Disconnected():
                self._images.see(event)
                self._emit(self._assembler.disconnect())
            case ModuleLoaded() | ModuleUnloaded():
                self._images.see(event)
            case CallbackSeen():
                self._emit(self._assembler.take(event_of(event, time())))
            case RoutineRegistered():
                if len(self._registered) < MAX_REGISTERED:
                    self._registered.append(event)
        return True

    def _record_bugcheck(self, crash: BugcheckSeen) -> None:
        events = self._assembler.bugcheck(crash.code, crash.parameters, crash.module, crash.offset)
        self._emit(events)
        if self._bugcheck is None:
            self._bugcheck = next(found for found in events if isinstance(found, Bugcheck))

    def _record_stop(self, stop: Stopped) -> None:
        place = self._images.place(stop.address)
        self._stops.add(stop, str(place or ""))
        self._emit(stop_events(self._assembler, stop, place))
        if not stop.first_chance and self._unhandled is None:
            self._unhandled = unhandled_exception(stop, place)

    def _see_release(self, release: Release) -> None:
        """What came up only while the target was let go."""
        for stop in release.stops:
            self._record_stop(stop)
        if release.bugcheck is not None:
            self._record_bugcheck(release.bugcheck)

    def _let_go(self) -> None:
        with contextlib.suppress(UsageError):  # reset meanwhile: it runs already
            self._debugger.go()

    def _emit(self, events: list[Event]) -> None:
        for event in events:
            self._record(event)

    def _release(self) -> Release:
        try:
            return self._detach()
        except Exception as error:  # noqa: BLE001  # the recording is brought to its end all the same
            self._keep(error)
            return Release(None, "the debugger failed while it let the target go")

    def _detach(self) -> Release:
        try:
            return self._debugger.detach(timeout=DETACH_SECONDS)
        except KeyboardInterrupt:
            # Impatience must not leave the target halted.
            return self._debugger.detach(timeout=DETACH_SECONDS)
