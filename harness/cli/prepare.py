"""``procnotify prepare``: a Windows guest made ready to be debugged."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from harness.cli._options import connection_text, json_option, print_json
from harness.connection import Connection, NetConnection, SerialConnection, parse_connection
from harness.errors import MachineError, UsageError
from harness.files import cannot_write, write_whole
from harness.kd.kdnet import Key
from harness.machines import open_machine
from harness.machines.access import DEFAULT_FOLDER
from harness.machines.base import ReachedMachine
from harness.preparation import (
    GuestSettings,
    NetworkDebugging,
    PreparationStep,
    SerialDebugging,
    preparation_steps,
)
from harness.preparation.batch import batch_file
from harness.preparation.guest import prepare_guest
from harness.preparation.settings import Debugging
from harness.preparation.steps import CERTIFICATE, HELPER
from harness.report.text import printable
from harness.signing import made_certificate, read_certificate
from harness.toolchain import default_actor

__all__ = ["command"]

PORT = 50000
"""Of KDNET where nobody names one; the one of Microsoft's examples."""
BATCH = "install.bat"
UP_SECONDS = 60.0
"""How long a guest may take to answer."""


@click.command(short_help="make a Windows guest ready to be debugged")
@click.argument("machine", required=False, metavar="[MACHINE]")
@click.option(
    "--print",
    "printed",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write {BATCH} there, and the files that it needs; do nothing in a guest.",
)
@click.option(
    "--connection",
    callback=connection_text,
    help="What the debugger will listen on, as for WinDbg's -k. Without it the machine's own, or"
    f" net:port={PORT} with a new key.",
)
@click.option(
    "--host-ip", metavar="A.B.C.D", help="Address of the debugger's machine, as the guest reaches it (KDNET)."
)
@click.option("--bus-params", metavar="B.D.F", help="Place of the debug NIC, where KDNET must take that one.")
@click.option(
    "--com",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="The guest's serial port that the kernel debugger owns (KDCOM).",
)
@click.option("--serve", metavar="COMn", help="Have the guest helper serve this serial port.")
@click.option(
    "--test-signing/--no-test-signing",
    default=True,
    show_default=True,
    help="Whether drivers with a test certificate load.",
)
@click.option(
    "--honest-signing",
    is_flag=True,
    help="Check signatures although a debugger is attached; Windows loads unsigned drivers then otherwise.",
)
@click.option(
    "--certificate",
    metavar="FILE|made|none",
    default="made",
    show_default=True,
    help="Whose drivers the guest is to trust; 'made' is your test certificate (procnotify driver sign).",
)
@click.option(
    "--folder", help=f"The guest's folder for files. Without it the machine's own, or {DEFAULT_FOLDER}."
)
@json_option
def command(
    machine: str | None,
    printed: Path | None,
    connection: str | None,
    host_ip: str | None,
    bus_params: str | None,
    com: int,
    serve: str | None,
    test_signing: bool,
    honest_signing: bool,
    certificate: str,
    folder: str | None,
    as_json: bool,
) -> int:
    """Set up a Windows guest: kernel debugging, test signing, the print filter, the certificate, the helper.

    Through the guest channel of the machine file MACHINE, which must be up, each step is done and checked.
    With --print the steps come as a batch file, to be run in the guest as administrator, as often as you
    like. What is set counts from the guest's next start on.

    \b
    Examples:
      procnotify prepare lab.yaml --host-ip 192.168.1.10
      procnotify prepare lab.yaml --host-ip 10.0.2.2 --print install
      procnotify prepare --print install --host-ip 10.0.2.2
      procnotify prepare --print install --connection "com:pipe,port=/run/vm.serial" --serve COM2

    \b
    Exit codes:
      0  every step is done and checked, or written
      2  the command line, the machine or the certificate is wrong, or the folder cannot be written
      3  a step failed, the guest does not answer, the guest helper could not be built, or the disk is full
    """
    if machine is None and printed is None:
        raise UsageError(
            "nothing says which guest to prepare", hint="name a machine file, or give --print FOLDER"
        )
    reached = None if machine is None else _open_machine(machine)
    if connection is not None:
        where: Connection | None = parse_connection(connection)
    elif reached is not None:
        where = _connection_of(reached)
    else:
        where = NetConnection(PORT, Key.generate(secrets.token_bytes))
    settings = GuestSettings(
        _debugging(where, host_ip, bus_params, com),
        folder=folder or (DEFAULT_FOLDER if reached is None else reached.access.folder),
        test_signing=test_signing,
        honest_signing=honest_signing,
        certificate=_certificate(certificate),
        serve_port=serve,
    )
    steps = preparation_steps(settings)
    say = partial(click.echo, err=as_json)
    written: list[Path] = []
    if printed is not None:
        batch = batch_file(steps, folder=settings.folder).encode("ascii")
        written = _write(printed, _files(settings) | {BATCH: batch})
        for path in written:
            say(printable(str(path)))
        say(f"take the folder into the guest, and run {BATCH} there as administrator")
    else:
        assert reached is not None
        _prepare(reached, steps, settings)
    say("restart the guest to make it count")
    if where is not None:
        say(f'the debugger listens on "{where}"')
    if as_json:
        titles = [step.title for step in steps]
        at = None if where is None else str(where)
        print_json(exit_code=0, connection=at, steps=titles, written=list(map(str, written)))
    return 0


def _open_machine(name: str) -> ReachedMachine:
    machine = open_machine(name)
    if not isinstance(machine, ReachedMachine):
        raise UsageError(f"the machine {name!r} is no guest to prepare", hint="name a machine file")
    return machine


def _connection_of(machine: ReachedMachine) -> Connection | None:
    """None: a serial port of the machine's own, which is there once the machine is."""
    try:
        return machine.connection()
    except MachineError:
        return None


def _prepare(machine: ReachedMachine, steps: Sequence[PreparationStep], settings: GuestSettings) -> None:
    access = machine.access
    if access.address is None:
        raise UsageError(
            "the guest of this machine is reached in a run alone, and what is set there may be undone",
            hint="prepare the image itself, by what --print writes; or describe it as type: existing",
        )
    channel = access.open_channel(access.address)
    try:
        channel.await_up(UP_SECONDS)
        prepare_guest(
            channel,
            steps,
            _files(settings),
            folder=settings.folder,
            say=lambda line: click.echo(printable(line), err=True),
        )
    finally:
        channel.close()


def _debugging(where: Connection | None, host_ip: str | None, bus_params: str | None, com: int) -> Debugging:
    if not isinstance(where, NetConnection):
        baud = where.baud if isinstance(where, SerialConnection) else SerialDebugging.baud
        return SerialDebugging(com, baud)
    if host_ip is None:
        raise UsageError(
            "the guest does not know where to dial",
            hint="name the address of the debugger's machine, as the guest reaches it, with --host-ip",
        )
    return NetworkDebugging(host_ip, where.port, where.key, bus_params)


def _certificate(named: str) -> bytes | None:
    match named:
        case "none":
            return None
        case "made":
            return made_certificate()[0].der
        case _:
            return read_certificate(Path(named)).der


def _files(settings: GuestSettings) -> dict[str, bytes]:
    """What the steps need in the guest."""
    files = {}
    if settings.certificate is not None:
        files[CERTIFICATE] = settings.certificate
    if settings.serve_port is not None:
        files[HELPER] = default_actor(progress=partial(click.echo, err=True)).exe.path.read_bytes()
    return files


def _write(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    for name, data in files.items():
        try:
            write_whole(folder / name, data)
        except OSError as error:
            raise cannot_write(folder / name, error, hint="name another folder with --print") from error
    return [folder / name for name in files]
