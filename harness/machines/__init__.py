"""Where the driver runs: machines by name, and by the file that describes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import MachineError, UsageError
from harness.locks import HeldElsewhere, held_alone
from harness.machines.base import (
    BootOptions,
    CallFailingMachine,
    DirectMachine,
    DriverChecker,
    Machine,
    MachineStatus,
    PreparedMachine,
    ReachedMachine,
    RecordingMachine,
)
from harness.machines.virtual import VirtualMachine
from harness.resources import cache_dir

__all__ = [
    "MACHINES",
    "BootOptions",
    "CallFailingMachine",
    "DirectMachine",
    "DriverChecker",
    "Machine",
    "MachineStatus",
    "PreparedMachine",
    "ReachedMachine",
    "RecordingMachine",
    "alone_on_machine",
    "open_machine",
]

MACHINES: dict[str, Callable[[], Machine]] = {"virtual": VirtualMachine}
"""Every machine that needs no file, by the name that ``--machine`` takes."""
SUFFIXES = (".yaml", ".yml")


def open_machine(name: str) -> Machine:
    """A machine, not started yet.

    :param name: one of :data:`MACHINES`, or the path of a machine file: it ends in .yaml or .yml, or has a
        folder.
    :raises UsageError: there is no such machine.
    :raises MachineFileError: the file is wrong.
    """
    path = _machine_file(name)
    if path is not None:
        # What the types of machines need takes a while to import.
        from harness.machines.file import load_machine

        return load_machine(path)
    try:
        factory = MACHINES[name]
    except KeyError:
        known = ", ".join(MACHINES)
        raise UsageError(
            f"there is no machine named {name!r}",
            hint=f"known: {known}, or the path of a machine file (lab.yaml)",
        ) from None
    return factory()


@contextmanager
def alone_on_machine(name: str) -> Iterator[None]:
    """Hold the machine of a machine file: no two of our processes run on one at a time. The system frees what
    a process held that was killed. Each user of a machine without a file has one of his own.

    :raises MachineError: another process holds it.
    """
    path = _machine_file(name)
    if path is None:
        yield
        return
    key = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    with ExitStack() as held:
        try:
            held.enter_context(held_alone(cache_dir("machines") / f"{key}.lock"))
        except HeldElsewhere:
            raise MachineError(
                f"another call is at work on the machine of {name}",
                hint="wait for its end; `procnotify matrix` runs one after the other on it",
            ) from None
        yield


def _machine_file(name: str) -> Path | None:
    """None for a name."""
    path = Path(name)
    return path if path.suffix.lower() in SUFFIXES or path.name != name else None
