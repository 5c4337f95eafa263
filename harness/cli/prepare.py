"""``procnotify prepare``: what makes a Windows guest ready to be debugged."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from harness.cli._options import connection_text, json_option, print_json
from harness.connection import Connection, NetConnection, SerialConnection, parse_connection
from harness.errors import UsageError
from harness.files import cannot_write, write_whole
from harness.kd.kdnet import Key
from harness.preparation import (
    GuestSettings,
    NetworkDebugging,
    SerialDebugging,
    preparation_steps,
)
from harness.preparation.batch import batch_file
from harness.preparation.settings import Debugging
from harness.preparation.steps import CERTIFICATE, HELPER
from harness.report.text import printable
from harness.signing import made_certificate, read_certificate
from harness.toolchain import default_actor

__all__ = ["command"]

PORT = 50000
"""Of KDNET where nobody names one; the one of Microsoft's examples."""
BATCH = "install.bat"


@click.command(short_help="write what makes a Windows guest ready to be debugged")
@click.option(
    "--print",
    "printed",
    metavar="FOLDER",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write {BATCH} there, and the files that it needs.",
)
@click.option(
    "--connection",
    callback=connection_text,
    help=f"What the debugger will listen on, as for WinDbg's -k.  [default: net:port={PORT} with a new key]",
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
@click.option("--folder", default=r"C:\procnotify", show_default=True, help="The guest's folder for files.")
@json_option
def command(
    printed: Path,
    connection: str | None,
    host_ip: str | None,
    bus_params: str | None,
    com: int,
    serve: str | None,
    test_signing: bool,
    honest_signing: bool,
    certificate: str,
    folder: str,
    as_json: bool,
) -> None:
    """Write a batch file that sets up a Windows guest: kernel debugging, test signing, the print filter, the
    certificate and the helper. Run it in the guest as administrator, as often as you like, and restart.

    \b
    Examples:
      procnotify prepare --print install --host-ip 10.0.2.2
      procnotify prepare --print install --connection "com:pipe,port=/run/vm.serial" --serve COM2

    \b
    Exit codes:
      0  written
      2  the command line or the certificate is wrong, or the folder cannot be written
      3  the guest helper could not be built, or the disk is full
    """
    where: Connection = NetConnection(PORT, Key.generate(secrets.token_bytes))
    if connection is not None:
        where = parse_connection(connection)
    settings = GuestSettings(
        _debugging(where, host_ip, bus_params, com),
        folder=folder,
        test_signing=test_signing,
        honest_signing=honest_signing,
        certificate=_certificate(certificate),
        serve_port=serve,
    )
    steps = preparation_steps(settings)
    batch = batch_file(steps, folder=folder).encode("ascii")
    written = _write(printed, _files(settings) | {BATCH: batch})
    if as_json:
        titles = [step.title for step in steps]
        print_json(exit_code=0, connection=str(where), steps=titles, written=list(map(str, written)))
        return
    for path in written:
        click.echo(printable(str(path)))
    click.echo(f"take the folder into the guest, and run {BATCH} there as administrator")
    click.echo("restart the guest to make it count")
    click.echo(f'the debugger listens on "{where}"')


def _debugging(where: Connection, host_ip: str | None, bus_params: str | None, com: int) -> Debugging:
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
