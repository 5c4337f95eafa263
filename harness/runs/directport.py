"""The debugger's place in a target of this process: what the kernel tells becomes events at once.

It judges a stop as :class:`~harness.runs.livetarget.LiveTarget` does with any debugger, so that a run has the
same events and the same verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, TypeVar

from harness.debuggers.base import Module, ModuleLoaded, ModuleUnloaded
from harness.debuggers.bugchecks import CrashEvidence
from harness.debuggers.images import LoadedImages
from harness.debuggers.stops import DEBUGGER_EXCEPTIONS, break_instruction, exception_stop, stop_events
from harness.errors import DriverHang
from harness.events import Event, Marker
from harness.kd.debugio import MAX_PRINT_BYTES
from harness.lines import EventAssembler, Grammar
from harness.machines.base import LoadedKernel
from harness.runs.livetarget import PRINTS_WITHOUT_END
from harness.runs.watch import Watch
from harness.standingrules import BrokenRule
from harness.virtual.banner import bugcheck_banner
from harness.virtual.interfaces import ImageModule

__all__ = ["DirectPort", "module_of"]

_LOOK_EVERY: Final = 256
"""Prints between two looks at the clock."""

T = TypeVar("T")


class DirectPort:
    """The kernel's :class:`~harness.virtual.interfaces.DebugPort`, and the
    :class:`~harness.runs.livetarget.Caller` of the guest behind it.

    :param record: called with each event, in the order of the prints.
    :param watch: how long one step may print.
    :param grammar: of the driver's lines.
    :param interrupted: asked now and then; True ends the run as Ctrl-C does.
    """

    def __init__(
        self,
        record: Callable[[Event], None],
        watch: Watch,
        grammar: Grammar,
        interrupted: Callable[[], bool],
    ) -> None:
        self._record = record
        self._watch = watch
        self._interrupted = interrupted
        self._assembler = EventAssembler(grammar)
        self._evidence = CrashEvidence()
        self._images = LoadedImages(self)
        self._kernel: LoadedKernel | None = None
        self._what = ""
        self._marked = 0.0
        self._lasting = 0.0
        self._prints = 0

    def attach(self, kernel: LoadedKernel) -> None:
        """The kernel is up; it has told nothing so far."""
        self._kernel = kernel
        self._evidence.see_modules(self.modules())

    # The guest's commands

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0, lasting: float = 0.0) -> T:
        """See :class:`~harness.runs.livetarget.Caller`."""
        if self._interrupted():
            raise KeyboardInterrupt
        self._what, self._marked, self._lasting = what, monotonic(), max(quiet, lasting)
        return work()

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Whether it has arrived: nothing is on its way here."""
        return arrived()

    def await_quiet(self, what: str, *, quiet: float, maximum: float) -> None:
        """Between two commands the target is quiet."""

    def finish(self) -> None:
        """Record what was left unfinished."""
        self._emit(self._assembler.flush())

    def record_broken_rules(self, broken: Iterable[BrokenRule]) -> None:
        """Record what the target noticed of its drivers."""
        for rule, driver, message in broken:
            self._emit(self._assembler.rule_broken(rule, driver, message))

    # The kernel's debugger

    def modules(self) -> list[Module]:
        """The kernel's loaded module list."""
        assert self._kernel is not None
        return [module_of(image) for image in self._kernel.modules]

    def print_string(self, text: bytes, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        self._emit(self._assembler.feed_bytes(text[:MAX_PRINT_BYTES], None, cpu))
        self._prints += 1
        if self._prints % _LOOK_EVERY == 0:
            self._require_an_end()

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        loaded = module_of(module)
        self._evidence.see_modules([loaded])
        self._images.see(ModuleUnloaded(loaded.name, loaded.base) if unload else ModuleLoaded(loaded))

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """See :class:`~harness.virtual.interfaces.DebugPort`.

        :raises DriverFault: a break instruction, which a driver under test must not have.
        """
        stop = exception_stop(code, address, first_chance=first_chance)
        place = self._images.place(address)
        self._emit(stop_events(self._assembler, stop, place))
        if code in DEBUGGER_EXCEPTIONS:
            raise break_instruction(stop, place)
        return False

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`.

        :raises DriverBugcheck: always.
        """
        assert self._kernel is not None
        for line in bugcheck_banner(code, parameters, module):
            self.print_string(line, cpu)
            self._evidence.see_print(line.decode("utf-8", "backslashreplace"))
        crash = self._evidence.bugcheck(code, parameters, kernel_base=self._kernel.kernel_base)
        self._emit(self._assembler.bugcheck(crash.code, crash.parameters, crash.module, crash.offset))
        raise crash.error()

    def poll(self) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`: nobody breaks in."""

    def _emit(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Marker):
                self._marked = monotonic()
            self._record(event)

    def _require_an_end(self) -> None:
        if self._interrupted():
            raise KeyboardInterrupt
        printing = monotonic() - self._marked
        if printing > self._watch.printing + self._lasting:
            assert self._kernel is not None
            address = self._kernel.caller
            place = self._images.place(address)
            where = f" ({place})" if place is not None else ""
            raise DriverHang(
                f"the target printed for {printing:.0f} s without end during {self._what}; it executes at"
                f" 0x{address:016x}{where}",
                address=address,
                hint=PRINTS_WITHOUT_END,
            )


def module_of(image: ImageModule) -> Module:
    """A loaded image as a debugger would be told of it."""
    return Module(image.name, image.base, image.size)
