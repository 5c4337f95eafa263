"""What all runs of one command share: machine, debugger, driver, and the files of the guest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from harness.callplaces import CallPlace
from harness.connection import Connection
from harness.debuggers.base import Debugger
from harness.events import WitnessName
from harness.grammars import builtin_grammar
from harness.lines import Grammar
from harness.machines.base import BootOptions, Machine
from harness.printmasks import PrintMasks
from harness.runs.progress import Progress, Subscriber
from harness.runs.steps import GuestDriver
from harness.runs.trace_folder import TraceFolder
from harness.runs.watch import Watch
from harness.scenario.model import Scenario
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.schedule import RecordingPolicy

__all__ = ["PROBE", "GuestFiles", "KeptTraces", "Rig"]

PROBE = re.compile(r"probe[\w-]*\.dll", re.ASCII)
"""A scenario's DLL with a name like this, without a folder, is a copy of ``probe.dll`` that the run puts in
the guest under that name: a library that nothing has mapped before."""


class KeptTraces(Enum):
    """Of which runs the traces stay."""

    ALL = "all"
    FAILED = "failed"
    """Of those that did not pass."""


@dataclass(frozen=True)
class GuestFiles:
    """The guest helper and the library it loads."""

    actor: bytes
    """``actor.exe``"""
    probe: bytes
    """``probe.dll``"""


@dataclass(frozen=True)
class Rig:
    """Everything a run needs besides its scenario and its seed."""

    machine: Machine
    open_debugger: Callable[[str], Debugger] | None
    """Takes a connection, as for WinDbg's ``-k``; None: nobody listens, and the machine is one that can run
    without (:class:`~harness.machines.base.DirectMachine`)."""
    driver: GuestDriver
    """The driver under test."""
    files: GuestFiles
    traces: TraceFolder
    connection: Connection | None = None
    """Between machine and debugger; None: the machine's own choice, for every run."""
    watch: Watch = field(default_factory=Watch)
    subscribers: tuple[Subscriber, ...] = ()
    other_drivers: tuple[GuestDriver, ...] = ()
    """Loaded before the first step in this order, before the driver under test, and unloaded after it."""
    policy: str | None = None
    """See :class:`~harness.machines.base.BootOptions`; None: each scenario's own."""
    processors: int | None = None
    """The same."""
    print_masks: PrintMasks = field(default_factory=dict)
    """They come before each scenario's own, component by component."""

    lines: Grammar | None = None
    """Of the driver's lines; None: each scenario's own, or the built-in one."""

    keep_traces: KeptTraces = KeptTraces.ALL
    kdfiles: bool = False
    """The target gets the drivers of the debugger, which is one that serves files
    (:class:`~harness.debuggers.base.FileServingDebugger`), and not from its own disk."""
    witness: WitnessName | None = None
    """On whose events the order is checked; None: on the driver's lines where they report callbacks, else on
    what the target saw, where it can tell."""
    strict: bool = False
    """Promises that could not be judged are an error."""
    retries: int = 0
    """How often a run whose rig failed is begun anew from the machine's clean state."""
    choices: Mapping[int, int] | None = None
    """See :class:`~harness.machines.base.BootOptions`."""
    scheduling: Callable[[Policy], RecordingPolicy] | None = None
    """The same; the result of a run has the schedule then."""
    tells_calls: bool = False
    """See :class:`~harness.machines.base.BootOptions`."""
    fails: CallPlace | None = None
    """The same."""
    undone: Callable[[str], None] | None = None
    """Is told of each step that did not happen, and the run goes on without it; None: the run ends."""
    interrupted: Callable[[], bool] = lambda: False
    """Asked now and then in a run without a debugger: True ends it as Ctrl-C does."""

    @property
    def drivers(self) -> tuple[GuestDriver, ...]:
        """All of them, the one under test first."""
        return (self.driver, *self.other_drivers)

    def grammar(self, scenario: Scenario) -> Grammar:
        """By which the lines of a run of ``scenario`` are read."""
        return self.lines or scenario.lines or builtin_grammar()

    def emit(self, progress: Progress) -> None:
        """Tell every subscriber."""
        for subscriber in self.subscribers:
            subscriber(progress)

    def boot(self, seed: int, scenario: Scenario | None = None) -> BootOptions:
        """How to start the machine for one run of ``scenario``, or without one."""
        connection = None
        if self.open_debugger is not None:
            connection = self.connection if self.connection is not None else self.machine.connection()
        if scenario is None:
            return BootOptions(
                seed,
                connection,
                policy=self.policy,
                processors=self.processors,
                print_masks=self.print_masks,
                choices=self.choices,
                scheduling=self.scheduling,
            )
        return BootOptions(
            seed,
            connection,
            scenario.profile,
            self.policy or scenario.policy,
            self.processors or scenario.processors,
            {**scenario.print_masks, **self.print_masks},
            self.choices,
            self.scheduling,
            self.tells_calls,
            self.fails,
        )

    def driver_sha256(self) -> str:
        """Of the driver's file, in hexadecimal."""
        return hashlib.sha256(self.driver.image).hexdigest()

    def other_drivers_sha256(self) -> dict[str, str]:
        """The same of each driver beside it: file name → digest."""
        return {driver.file: hashlib.sha256(driver.image).hexdigest() for driver in self.other_drivers}
