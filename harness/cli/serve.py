"""``procnotify serve``: the virtual target alone, dialling a debugger of any make."""

from __future__ import annotations

import secrets
import time
from functools import partial
from pathlib import Path

import click

from harness.cli._options import (
    drivers_option,
    json_option,
    log_options,
    policy_option,
    print_json,
    print_mask_option,
    processors_option,
)
from harness.report.text import one_line
from harness.runs.opening import check_names, read_driver
from harness.runs.rig import GuestFiles
from harness.runs.runner import DEFAULT_SEED, seed_of
from harness.runs.serving import TargetSwitch, serve
from harness.runs.steps import GuestDriver
from harness.scenario import load
from harness.toolchain import default_actor, default_driver
from harness.virtual.dispatcher.policy import POLICIES
from harness.virtual.kernel.loader import check_driver_file
from harness.virtual.served import Dialling
from harness.virtual.target import PROCESSORS

__all__ = ["command"]


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
@drivers_option(
    "Load this driver once the debugger has let the target go; with --run the project's own by default."
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the target; by default 1.")
@policy_option
@processors_option
@print_mask_option
@json_option
@log_options
def command(
    hostip: str,
    port: int,
    key: str,
    scenario_file: Path | None,
    drivers: tuple[Path, ...],
    seed: int | None,
    policy: str | None,
    processors: int | None,
    print_masks: dict[str, int],
    as_json: bool,
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
    loaded = _drivers(drivers, wanted=scenario is not None)
    if seed is None:
        seed = DEFAULT_SEED if scenario is None else seed_of(scenario, None)
    switch = TargetSwitch(
        dialling,
        seed,
        policy=policy or (None if scenario is None else scenario.policy) or POLICIES[0],
        processors=processors or (None if scenario is None else scenario.processors) or PROCESSORS,
        print_masks={**(scenario.print_masks if scenario is not None else {}), **print_masks},
        now=time.perf_counter,
        nonce=partial(secrets.token_bytes, 32),
    )
    try:
        bindings = serve(switch, scenario, loaded, _helper, _say)
    finally:
        switch.off()
    if as_json:
        print_json(exit_code=0, bindings=bindings)
    return 0


def _say(text: str) -> None:
    click.echo(f"procnotify: {one_line(text)}", err=True)


def _helper() -> GuestFiles:
    built = default_actor(progress=partial(click.echo, err=True))
    return GuestFiles(built.exe.path.read_bytes(), built.probe.path.read_bytes())


def _drivers(paths: tuple[Path, ...], *, wanted: bool) -> tuple[GuestDriver, ...]:
    """The drivers to load, in this order."""
    if not paths and wanted:
        paths = (default_driver(progress=partial(click.echo, err=True)).path,)
    drivers = tuple(read_driver(path) for path in paths)
    for driver in drivers:
        check_driver_file(driver.image)
    check_names(drivers)
    return drivers
