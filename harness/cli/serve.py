"""``procnotify serve``: the virtual target alone, for a debugger of any make."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import click

from harness.cli._options import (
    connection_argument,
    drivers_option,
    json_option,
    log_options,
    policy_option,
    print_json,
    print_mask_option,
    processors_option,
)
from harness.connection import Connection, NetConnection, parse_connection
from harness.errors import UsageError
from harness.kd.kdnet import Key
from harness.report.text import one_line
from harness.runs.opening import check_names, read_driver
from harness.runs.rig import GuestFiles
from harness.runs.runner import DEFAULT_SEED, seed_of
from harness.runs.serving import TargetSwitch, serve
from harness.runs.steps import GuestDriver
from harness.scenario import load
from harness.toolchain import default_actor, default_driver
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.kdport import open_kd_port
from harness.virtual.kernel.loader import check_driver_file
from harness.virtual.target import PROCESSORS

__all__ = ["command"]


LOOPBACK = "127.0.0.1"


@click.command(short_help="the virtual target alone, for a debugger of any make")
@connection_argument(required=False)
@click.option(
    "--hostip", metavar="IP", help=f"KDNET: address of the computer with the debugger; by default {LOOPBACK}."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="KDNET without CONNECTION: its UDP port."
)
@click.option("--key", metavar="W.X.Y.Z", help="KDNET without CONNECTION: the key, the debugger's too.")
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
    connection: str | None,
    hostip: str | None,
    port: int | None,
    key: str | None,
    scenario_file: Path | None,
    drivers: tuple[Path, ...],
    seed: int | None,
    policy: str | None,
    processors: int | None,
    print_masks: dict[str, int],
    as_json: bool,
) -> int:
    """Boot the virtual target and have it debugged over KDNET or over a serial port.

    CONNECTION is what the debugger is given for -k; the target takes the other end. Over net: it dials, as
    Windows does after ``bcdedit /dbgsettings net hostip:IP port:N key:W.X.Y.Z``. Over com: with pipe or
    ipport= it serves that Unix socket, named pipe or TCP port, as a virtual machine does, or connects to it
    where the debugger serves it (option 'server'); over com:port=DEVICE it opens that device, which is then
    the far end of the debugger's cable.

    Nothing is judged here: the debugger sees what the driver prints. Ctrl-C switches the target off.

    \b
    Examples:
      procnotify serve "net:port=50000,key=1.2.3.4" --hostip 192.168.0.10
      windbg -k "net:port=50000,key=1.2.3.4"
    \b
      procnotify serve "com:pipe,port=/tmp/kd1" --run scenarios/notepad-launch.yaml
      procnotify record "com:pipe,port=/tmp/kd1"
    \b
      procnotify serve "com:ipport=5554,port=127.0.0.1"
      procnotify debug "com:ipport=5554,port=127.0.0.1" --debugger pykd

    \b
    Exit codes:
      0    the steps were done
      1    the driver did not load, did not unload, or hung
      2    the command line, the scenario or the driver file is wrong
      3    a step could not be done, or the debugger ended the boot in the middle
      4    the target bugchecked
      130  Ctrl-C
    """
    where = _connection(connection, hostip, port, key)
    scenario = load(scenario_file) if scenario_file is not None else None
    loaded = _drivers(drivers, wanted=scenario is not None)
    if seed is None:
        seed = DEFAULT_SEED if scenario is None else seed_of(scenario, None)
    switch = TargetSwitch(
        open_kd_port(where, hostip or LOOPBACK, now=time.perf_counter),
        seed,
        policy=policy or (None if scenario is None else scenario.policy) or POLICIES[0],
        processors=processors or (None if scenario is None else scenario.processors) or PROCESSORS,
        print_masks={**(scenario.print_masks if scenario is not None else {}), **print_masks},
        now=time.perf_counter,
    )
    try:
        bindings = serve(switch, scenario, loaded, _helper, _say)
    finally:
        switch.off()
    if as_json:
        print_json(exit_code=0, bindings=bindings)
    return 0


def _connection(connection: str | None, hostip: str | None, port: int | None, key: str | None) -> Connection:
    """What was asked for, in one of the two ways to write it."""
    if connection is None:
        if hostip is None or port is None or key is None:
            raise UsageError(
                "nothing says where the debugger is",
                hint="give CONNECTION, or --hostip, --port and --key",
            )
        return NetConnection(port, Key.parse(key))
    if port is not None or key is not None:
        raise UsageError(
            "CONNECTION says already what --port and --key do", hint="give the one or the others"
        )
    where = parse_connection(connection)
    if hostip is not None and not isinstance(where, NetConnection):
        raise UsageError(
            "a serial port has no --hostip", hint="leave it out, or write net:port=N,key=w.x.y.z"
        )
    return where


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
        if missing := check_driver_file(driver.image):
            _say(f"{driver.file} imports what the virtual target lacks: {', '.join(missing)}")
    check_names(drivers)
    return drivers
