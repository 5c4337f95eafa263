"""``procnotify serve``: the virtual target alone, dialling a debugger of any make."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from harness.cli._options import log_options
from harness.guests.inprocess import InProcessGuest
from harness.runs.capture import probe_names
from harness.runs.opening import read_driver
from harness.runs.runner import seed_of
from harness.runs.steps import GuestDriver, Markers, StepRunner, loads_driver_itself
from harness.scenario import Scenario, load
from harness.toolchain import default_actor, default_driver
from harness.toolchain.windows_errors import ntstatus_words
from harness.virtual.clock import SECOND
from harness.virtual.kernel.loader import check_driver_file
from harness.virtual.served import Dialling, ServedTarget
from harness.virtual.stub.stub import RebootedByDebugger, TargetCrashed, TargetEnded
from harness.virtual.stub.wire import UdpWire

__all__ = ["command"]

T = TypeVar("T")


class _Unheard:
    """Steps without a debugger of our own: what the driver prints is for whoever listens."""

    def call(self, what: str, work: Callable[[], T], *, quiet: float = 0.0) -> T:
        """Do ``work`` now."""
        return work()

    def wait_for(self, what: str, arrived: Callable[[], bool]) -> bool:
        """Nothing is heard here, so nothing is waited for."""
        return True

    def await_quiet(self, what: str, *, quiet: float, maximum: float) -> None:
        """Nothing is heard here: the served target settles by its own clock."""


class _Power:
    """The switch: one wire, and a fresh boot on it whenever one is wanted."""

    def __init__(self, dialling: Dialling, seed: int) -> None:
        self._dialling = dialling
        self._seed = seed
        self._wire = UdpWire(dialling.hostip, dialling.port)

    def boot(self) -> ServedTarget:
        """A target that has just booted and begins to dial."""
        started = time.monotonic()
        return ServedTarget(
            self._dialling,
            self._wire,
            now=time.monotonic,
            nonce=secrets.token_bytes(32),
            seed=self._seed,
            idle_clock=lambda: round((time.monotonic() - started) * SECOND),
        )

    def off(self) -> None:
        """Free the socket."""
        self._wire.close()


@click.command(short_help="the virtual target alone, dialling a debugger of any make over KDNET")
@click.option("--hostip", required=True, metavar="IP", help="Address of the computer with the debugger.")
@click.option("--port", required=True, type=click.IntRange(1, 65535), metavar="N", help="Its UDP port.")
@click.option("--key", required=True, metavar="W.X.Y.Z", help="The KDNET key, the debugger's too.")
@click.option(
    "--run",
    "scenario_file",
    type=click.Path(path_type=Path),
    metavar="SCENARIO",
    help="Do this scenario's steps once the debugger has let the target go, then exit.",
)
@click.option(
    "--driver",
    type=click.Path(path_type=Path),
    metavar="FILE.sys",
    help="Load this driver once the debugger has let the target go; with --run the project's own by default.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the target; by default 1.")
@log_options
def command(
    hostip: str, port: int, key: str, scenario_file: Path | None, driver: Path | None, seed: int | None
) -> int:
    """Boot the virtual target and dial a debugger over KDNET, as Windows does after
    ``bcdedit /dbgsettings net hostip:IP port:N key:W.X.Y.Z``.

    Nothing is judged here: the debugger sees what the driver prints. Ctrl-C switches the target off.

    \b
    Example:
      procnotify serve --hostip 127.0.0.1 --port 50000 --key 1.2.3.4 --run scenarios/notepad-launch.yaml
      windbg -k net:port=50000,key=1.2.3.4

    \b
    Exit codes:
      0    the steps were done
      1    the driver did not load, did not unload, or hung
      2    the command line, the scenario or the driver file is wrong
      3    a step could not be done, or the debugger ended the boot in the middle
      4    the target bugchecked
      130  Ctrl-C
    """
    dialling = Dialling.of(hostip, port, key)
    scenario = load(scenario_file) if scenario_file is not None else None
    under_test = _driver(driver, wanted=scenario is not None)
    power = _Power(dialling, _seed(scenario, seed))
    try:
        return _serve(power, dialling, scenario, under_test)
    finally:
        power.off()


def _serve(power: _Power, dialling: Dialling, scenario: Scenario | None, driver: GuestDriver | None) -> int:
    while True:
        target = power.boot()
        click.echo(f"procnotify: dialling {dialling.hostip} port {dialling.port}; Ctrl-C ends it", err=True)
        try:
            while not target.stops:
                target.idle()
            click.echo("procnotify: a debugger has let the target go", err=True)
            if scenario is not None and driver is not None:
                _do_steps(target, scenario, driver)
                target.stub.announce_reboot()
                return 0
            if driver is not None:
                status = target.load_driver(driver.service, target.put(driver.file, driver.image))
                click.echo(f"procnotify: {driver.file}: {ntstatus_words(status)}", err=True)
            while True:
                target.idle()
        except RebootedByDebugger as end:
            click.echo(f"procnotify: {end}", err=True)
        except TargetCrashed as end:
            click.echo(f"procnotify: {end}; it reboots", err=True)
        except TargetEnded:
            return 3


def _do_steps(target: ServedTarget, scenario: Scenario, driver: GuestDriver) -> None:
    helper = default_actor(progress=partial(click.echo, err=True))
    runner = StepRunner(scenario, _Unheard(), InProcessGuest(target), driver, Markers())
    probe = helper.probe.path.read_bytes()
    files = {"actor.exe": helper.exe.path.read_bytes(), "probe.dll": probe}
    for name, data in {**files, **dict.fromkeys(probe_names(scenario.steps), probe)}.items():
        runner.paths[name] = target.put(name, data)
    explicit = loads_driver_itself(scenario.steps)
    if not explicit:
        runner.load_driver()
    runner.run()
    if not explicit:
        runner.unload_driver()
    click.echo(f"procnotify: the steps of {scenario.path} are done", err=True)


def _driver(path: Path | None, *, wanted: bool) -> GuestDriver | None:
    if path is None and not wanted:
        return None
    driver = read_driver(path or default_driver(progress=partial(click.echo, err=True)).path)
    check_driver_file(driver.image)
    return driver


def _seed(scenario: Scenario | None, seed: int | None) -> int:
    if seed is not None:
        return seed
    return seed_of(scenario, None) if scenario is not None else 1
