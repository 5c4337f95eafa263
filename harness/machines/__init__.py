"""Where the driver runs: machines by name, and by the file that describes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import UsageError
from harness.machines.base import (
    BootOptions,
    DirectMachine,
    DriverChecker,
    Machine,
    MachineStatus,
    PreparedMachine,
    RecordingMachine,
)
from harness.machines.virtual import VirtualMachine

__all__ = [
    "MACHINES",
    "BootOptions",
    "DirectMachine",
    "DriverChecker",
    "Machine",
    "MachineStatus",
    "PreparedMachine",
    "RecordingMachine",
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
    path = Path(name)
    if path.suffix.lower() in SUFFIXES or path.name != name:
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
