"""A halted target to look into with debugger commands: one that is there, or a virtual one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.debuggers.base import CommandDebugger, Debugger, Release, SymbolDebugger, TargetInfo
from harness.debuggers.native import commands
from harness.debuggers.native.debugger import NativeDebugger
from harness.runs.debugged import DETACH_SECONDS
from harness.runs.livetarget import LiveTarget
from harness.runs.rig import Rig
from harness.runs.runner import DEFAULT_SEED
from harness.runs.steps import start_driver, store_driver

__all__ = ["Inspection", "inspect_target", "inspect_virtual"]

BREAK_IN_SECONDS = 10.0


@dataclass(frozen=True)
class Inspection:
    """A halted target."""

    info: TargetInfo
    _debugger: Debugger

    def execute(self, command: str, *, timeout: float) -> str:
        """The output of a debugger command.

        :param timeout: seconds; a command that lets the target run counts until the next stop.
        :raises UsageError: the debugger refuses it.
        """
        if isinstance(self._debugger, NativeDebugger):
            return commands.execute(self._debugger, command)
        assert isinstance(self._debugger, CommandDebugger), f"{self._debugger.name} has no commands"
        return self._debugger.execute(command, timeout=timeout)

    def use_symbols(self, pdb: Path) -> bool:
        """Have the debugger look for a driver's symbols in that .pdb; False where it reads none."""
        if not isinstance(self._debugger, SymbolDebugger):
            return False
        self._debugger.use_symbols(pdb)
        return True


@contextmanager
def inspect_target(
    debugger: Debugger,
    *,
    timeout: float,
    released: Callable[[Release], None],
    begin: Callable[[], None] = lambda: None,
    begin_first: bool = False,
    prepare: Callable[[], None] = lambda: None,
) -> Iterator[Inspection]:
    """Attach to a target and halt it; it is let go on every way out.

    :param debugger: not listening yet.
    :param timeout: seconds to wait for the target.
    :param released: told how the target was left, on every way out.
    :param begin: done once the debugger listens, for example to start the target.
    :param begin_first: do it before, for the port that the debugger connects to is the target's own.
    :param prepare: done with the halted target; halts it again.
    """
    if begin_first:
        begin()
    debugger.listen()
    try:
        if not begin_first:
            begin()
        inspection = Inspection(debugger.attach(timeout=timeout), debugger)
        prepare()
        yield inspection
    finally:
        released(debugger.detach(timeout=DETACH_SECONDS))


@contextmanager
def inspect_virtual(rig: Rig, *, timeout: float, released: Callable[[Release], None]) -> Iterator[Inspection]:
    """Boot the rig's machine, load the driver, and halt it; it is switched off on every way out.

    The parameters are those of :func:`inspect_target`.
    """
    boot = rig.boot(DEFAULT_SEED)
    connection = boot.connection
    assert rig.open_debugger is not None and connection is not None
    debugger = rig.open_debugger(str(connection))

    def prepare() -> None:
        debugger.go()
        _load_driver(rig, debugger)
        debugger.break_in(timeout=BREAK_IN_SECONDS)

    try:
        with inspect_target(
            debugger,
            timeout=timeout,
            released=released,
            begin=lambda: rig.machine.start(boot),
            begin_first=not connection.debugger_first,
            prepare=prepare,
        ) as inspection:
            yield inspection
    finally:
        rig.machine.stop()


def _load_driver(rig: Rig, debugger: Debugger) -> None:
    guest = rig.machine.guest()
    with LiveTarget(debugger, rig.machine, lambda event: None, rig.watch) as live:
        path = store_driver(live, guest, rig.driver)
        start_driver(live, guest, rig.driver, path)
