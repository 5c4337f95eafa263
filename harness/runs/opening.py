"""From names and files to a rig: what the command line and the pytest plugin share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.connection import parse_connection
from harness.debuggers import FILE_SERVING, check_seeing, debugger_factory
from harness.errors import DriverFileError, UsageError
from harness.events import RUN_WITNESSES, WitnessName
from harness.files import read_file
from harness.grammars import builtin_grammar
from harness.lines import Grammar
from harness.machines import DirectMachine, DriverChecker, Machine, alone_on_machine, open_machine
from harness.machines.base import WitnessingMachine
from harness.printmasks import PrintMasks
from harness.runs.progress import Subscriber
from harness.runs.rig import GuestFiles, KeptTraces, Rig
from harness.runs.steps import GuestDriver
from harness.runs.trace_folder import TraceFolder
from harness.runs.watch import Watch
from harness.symbols import DriverSymbols
from harness.toolchain import default_actor, default_driver

__all__ = [
    "MAX_DRIVER",
    "NO_DEBUGGER",
    "check_names",
    "check_serving",
    "open_rig",
    "read_checked_driver",
    "read_driver",
]

NO_DEBUGGER = "none"
"""The debugger's name where nobody listens: the target runs in this process."""
MAX_DRIVER = 64 << 20
"""Bytes that a driver file may have; the largest of Windows' own drivers has about a tenth of it."""
_PRINTS = b"DbgPrint"
"""Is in the name of every routine of the kernel that prints."""


def read_driver(path: Path) -> GuestDriver:
    """The driver in a file.

    :raises DriverFileError: it cannot be read.
    """
    try:
        image = read_file(path, limit=MAX_DRIVER)
    except OSError as error:
        raise DriverFileError(
            f"cannot read the driver {path}: {error.strerror}", hint="give the path of a .sys file"
        ) from None
    symbols = DriverSymbols(image, path.with_suffix(".pdb"))
    return GuestDriver(service=path.stem, file=path.name, image=image, symbols=symbols)


def read_checked_driver(path: Path, check: Callable[[bytes], tuple[str, ...]]) -> GuestDriver:
    """A driver file with the imports that a machine lacks.

    :param check: the machine's, see :class:`~harness.machines.base.DriverChecker`.
    :raises DriverFileError: it cannot be read, or the machine cannot run it.
    """
    driver = read_driver(path)
    try:
        return replace(driver, missing_imports=check(driver.image))
    except DriverFileError as error:
        raise DriverFileError(f"{path}: {error.message}", hint=error.hint) from None


def _read_for(machine: Machine, path: Path) -> GuestDriver:
    if isinstance(machine, DriverChecker):
        return read_checked_driver(path, machine.check_driver)
    return read_driver(path)


def check_names(drivers: tuple[GuestDriver, ...]) -> None:
    """A service is known by its name alone, whatever its letter case.

    :raises DriverFileError: two have the same.
    """
    names = [driver.service.casefold() for driver in drivers]
    for number, driver in enumerate(drivers):
        if names.index(names[number]) != number:
            raise DriverFileError(f"two drivers are called {driver.service}", hint="rename one of the files")


def _check_lines(others: tuple[GuestDriver, ...], grammar: Grammar) -> None:
    """A line tells by its beginning alone whose it is."""
    for driver in others:
        if not grammar.tells_whose and _PRINTS in driver.image:
            raise DriverFileError(
                f"{driver.file} is not under test, but prints, too, and the line grammar {grammar.name} has"
                " forms without a beginning: nobody could tell whose a line is",
                hint="give the lines a prefix, or test the driver by itself",
            )
        for tag in grammar.driver_tags:
            if tag.encode(grammar.encoding, "replace") in driver.image:
                raise DriverFileError(
                    f"{driver.file} is not under test, but prints lines that begin with {tag.strip()}, too:"
                    " nobody could tell whose a line is",
                    hint="have it print another beginning, or test it by itself",
                )


def _check_direct(machine: Machine, connection: str | None) -> None:
    if not isinstance(machine, DirectMachine):
        raise UsageError(
            f"the machine {machine.name!r} cannot do without a debugger", hint="choose another --debugger"
        )
    if connection is not None:
        raise UsageError(
            f"without a debugger nobody meets at {connection}",
            hint="leave out --connection, or choose a debugger",
        )


def _check_real(
    machine: Machine, policy: str | None, processors: int | None, print_masks: PrintMasks | None
) -> None:
    """A machine that is no model is as it is."""
    given = {"--policy": policy, "--processors": processors, "--print-mask": print_masks}
    for option, value in given.items():
        if value and not machine.deterministic:
            raise UsageError(
                f"{option} is for the virtual target, and the machine {machine.name} is none",
                hint=f"leave out {option}",
            )


def _check_witness(machine: Machine, witness: WitnessName | None) -> None:
    if witness is not None and witness not in RUN_WITNESSES:
        raise UsageError(f"there is no witness {witness!r}", hint=f"known: {', '.join(RUN_WITNESSES)}")
    if witness == "target" and not isinstance(machine, WitnessingMachine):
        raise UsageError(
            f"the machine {machine.name} cannot say which callbacks it called",
            hint="leave out --witness, or choose the machine virtual",
        )


def check_serving(debugger: str) -> None:
    """With ``--kdfiles`` the debugger hands out the drivers.

    :raises UsageError: this one has no files for a target.
    """
    if debugger not in FILE_SERVING:
        raise UsageError(
            f"--kdfiles has the target get the driver of its debugger, and --debugger {debugger} has no files"
            " for it",
            hint=f"choose --debugger {' or '.join(FILE_SERVING)}, or leave out --kdfiles",
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _token() -> str:
    return secrets.token_hex(3)


@contextmanager
def open_rig(
    *,
    machine: str,
    debugger: str,
    driver: Path | None,
    other_drivers: Iterable[Path] = (),
    trace_folder: Path,
    connection: str | None = None,
    watch: Watch | None = None,
    policy: str | None = None,
    processors: int | None = None,
    print_masks: PrintMasks | None = None,
    lines: Grammar | None = None,
    keep_traces: KeptTraces = KeptTraces.ALL,
    retries: int = 0,
    kdfiles: bool = False,
    strict: bool = False,
    witness: WitnessName | None = None,
    elsewhere: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
    subscribers: tuple[Subscriber, ...] = (),
    building: Callable[[str], None] | None = None,
    now: Callable[[], datetime] = _now,
    token: Callable[[], str] = _token,
) -> Iterator[Rig]:
    """A rig, freed on exit.

    :param machine: a name or the path of a machine file, see :func:`harness.machines.open_machine`.
    :param debugger: a name from :data:`harness.debuggers.DEBUGGERS`, or :data:`NO_DEBUGGER`.
    :param driver: the .sys to test; None for the project's own, which is built if need be.
    :param other_drivers: drivers that are loaded before it, in this order, and unloaded after it.
    :param connection: between machine and debugger, as for WinDbg's ``-k``; None: the machine's own choice.
    :param policy: who goes first in the virtual target where the order is open; None: each scenario's own.
    :param processors: how many the virtual target has, 1 to 8; None: each scenario's own.
    :param print_masks: which debug prints pass, where that is not Windows' own choice; of a component that a
        scenario has a mask for too, this one counts.
    :param lines: the grammar of the driver's lines; None: each scenario's own, or the built-in one.
    :param keep_traces: of which runs the traces stay.
    :param retries: how often a run whose rig failed is begun anew.
    :param kdfiles: the target gets the drivers of the debugger, and not from its own disk.
    :param strict: promises that could not be judged are an error.
    :param witness: one of :data:`harness.events.RUN_WITNESSES`; see :class:`~harness.runs.rig.Rig`.
    :param elsewhere: the runs are done on other computers, whose machines are not held from here.
    :param interrupted: see :class:`~harness.runs.rig.Rig`.
    :param trace_folder: where the folder with this rig's traces is made, once there is one; see
        :class:`harness.runs.trace_folder.TraceFolder`, also for ``now`` and ``token``.
    :param building: told what is being done, a line a file, when something has to be built.
    :raises UsageError: an unknown name, a connection that is not understood, or a driver that this machine
        cannot load.
    :raises MachineError: another process is at work on the machine.
    :raises ToolchainError: the driver or the guest helper could not be built.
    """
    host = open_machine(machine)
    open_debugger = None if debugger == NO_DEBUGGER else debugger_factory(debugger)
    if open_debugger is None:
        _check_direct(host, connection)
    if kdfiles:
        check_serving(debugger)
    _check_real(host, policy, processors, print_masks)
    _check_witness(host, witness)
    if witness == "breakpoint":
        check_seeing(debugger)
    traces = TraceFolder(trace_folder, now=now, token=token)
    with ExitStack() as closing:
        if not elsewhere:
            closing.enter_context(alone_on_machine(machine))
        closing.callback(traces.close)
        closing.callback(host.close)
        under_test = _read_for(host, driver or default_driver(progress=building).path)
        others = tuple(_read_for(host, path) for path in other_drivers)
        check_names((*others, under_test))
        _check_lines(others, lines or builtin_grammar())
        helper = default_actor(progress=building)
        yield Rig(
            machine=host,
            open_debugger=open_debugger,
            driver=under_test,
            files=GuestFiles(helper.exe.path.read_bytes(), helper.probe.path.read_bytes()),
            traces=traces,
            connection=parse_connection(connection) if connection is not None else None,
            watch=watch or Watch(),
            subscribers=subscribers,
            other_drivers=others,
            policy=policy,
            processors=processors,
            print_masks=print_masks or {},
            lines=lines,
            keep_traces=keep_traces,
            retries=retries,
            kdfiles=kdfiles,
            strict=strict,
            witness=witness,
            interrupted=interrupted,
        )
