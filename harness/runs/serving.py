"""The virtual target for a debugger of any make: booted as often as it goes down, its steps done unheard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from harness.errors import DriverHang, MissingImport, TargetLost
from harness.guests.inprocess import InProcessGuest
from harness.printmasks import PrintMasks
from harness.runs.performing import probe_names
from harness.runs.rig import GuestFiles
from harness.runs.sources import with_sources
from harness.runs.steps import (
    GuestDriver,
    Markers,
    StepRunner,
    loads_driver_itself,
    start_other_driver,
    stop_other_driver,
)
from harness.scenario import Scenario
from harness.toolchain.windows_errors import ntstatus_words
from harness.virtual.clock import SECOND
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.kdport import KdPort
from harness.virtual.served import ServedTarget
from harness.virtual.stub.stub import RebootedByDebugger, TargetCrashed, TargetEnded
from harness.virtual.target import PROCESSORS

__all__ = ["TargetSwitch", "serve"]

T = TypeVar("T")


class _DirectCaller:
    """Guest calls without a debugger of our own: what the driver prints is for whoever listens."""

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0, lasting: float = 0.0) -> T:
        """Do ``work`` now."""
        return work()

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Nothing is heard here, so nothing is waited for."""
        return True

    def await_quiet(self, what: str, *, quiet: float, maximum: float) -> None:
        """Nothing is heard here: the served target settles by its own clock."""


class Switch(Protocol):
    """Boots targets that are debugged through the same port."""

    @property
    def words(self) -> str:
        """See :class:`harness.virtual.kdport.KdPort`."""

    def boot(self) -> ServedTarget:
        """A target that has just booted, for whoever debugs it."""


class TargetSwitch:
    """One port, and a fresh boot on it whenever one is wanted.

    :param port: what the boots are debugged through.
    :param seed: of every boot.
    :param policy: who goes first in it where the order is open.
    :param processors: how many it has, 1 to 8.
    :param print_masks: which debug prints pass, where that is not Windows' own choice.
    :param now: a clock in seconds.
    """

    def __init__(
        self,
        port: KdPort,
        seed: int,
        *,
        policy: str = POLICIES[0],
        processors: int = PROCESSORS,
        print_masks: PrintMasks | None = None,
        now: Callable[[], float],
    ) -> None:
        self.words = port.words
        self._port = port
        self._seed = seed
        self._policy = policy
        self._processors = processors
        self._print_masks = print_masks
        self._now = now

    def boot(self) -> ServedTarget:
        """A target that has just booted, for whoever debugs it."""
        started = self._now()
        return ServedTarget(
            self._port.session(),
            self._port.wire,
            now=self._now,
            seed=self._seed,
            policy=self._policy,
            processors=self._processors,
            print_masks=self._print_masks,
            idle_clock=lambda: round((self._now() - started) * SECOND),
        )

    def off(self) -> None:
        """Free the port."""
        self._port.wire.close()


def serve(
    switch: Switch,
    scenario: Scenario | None,
    drivers: Sequence[GuestDriver],
    helper: Callable[[], GuestFiles],
    say: Callable[[str], None],
) -> dict[str, int]:
    """Wait for a debugger; once it has let the target go, do the scenario's steps. The names that they bound.

    Without a scenario the drivers are loaded into every boot, for ever.

    :param drivers: in the order of their loading; with a scenario the last one is under test, and the others
        are unloaded after it.
    :param helper: the guest helper's files, asked for when steps are done.
    :param say: told what happens, a line at a time.
    :raises DriverFault: the driver did not load, did not unload, hung or crashed the target.
    :raises GuestError: a step could not be done.
    :raises TargetLost: the debugger ended the boot in the middle.
    """
    while True:
        target = switch.boot()
        say(f"{switch.words}; Ctrl-C ends it")
        try:
            while not target.stops:
                target.idle()
            say("a debugger has let the target go")
            if scenario is not None:
                bindings = _do_steps(target, scenario, drivers, helper())
                say(f"the steps of {scenario.path} are done")
                target.stub.announce_reboot()
                return bindings
            for driver in drivers:
                status = target.load_driver(driver.service, target.put(driver.file, driver.image))
                say(f"{driver.file}: {ntstatus_words(status)}")
            while True:
                target.idle()
        except (DriverHang, MissingImport) as error:
            raise with_sources(error, drivers) from error
        except RebootedByDebugger as end:
            say(str(end))
        except TargetCrashed as end:
            say(f"{end}; it reboots")
        except TargetEnded as end:
            raise TargetLost(f"the boot ended in the middle: {end}") from end


def _do_steps(
    target: ServedTarget, scenario: Scenario, drivers: Sequence[GuestDriver], helper: GuestFiles
) -> dict[str, int]:
    *others, under_test = drivers
    caller, guest = _DirectCaller(), InProcessGuest(target)
    runner = StepRunner(scenario, caller, guest, under_test, Markers())
    files = {"actor.exe": helper.actor, "probe.dll": helper.probe}
    files |= dict.fromkeys(probe_names(scenario.steps), helper.probe)
    for name, data in files.items():
        runner.paths[name] = target.put(name, data)
    for other in others:
        start_other_driver(caller, guest, other)
    explicit = loads_driver_itself(scenario.steps)
    if not explicit:
        runner.load_driver()
    runner.run()
    if not explicit:
        runner.unload_driver()
    for other in reversed(others):
        stop_other_driver(caller, guest, other)
    return runner.bindings
