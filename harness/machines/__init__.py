"""Where the driver runs: machines by name."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import UsageError
from harness.machines.base import BootOptions, DirectMachine, DriverChecker, Machine, MachineStatus
from harness.machines.virtual import VirtualMachine

__all__ = [
    "MACHINES",
    "BootOptions",
    "DirectMachine",
    "DriverChecker",
    "Machine",
    "MachineStatus",
    "open_machine",
]

MACHINES: dict[str, Callable[[], Machine]] = {"virtual": VirtualMachine}
"""Every machine by the name that ``--machine`` takes."""


def open_machine(name: str) -> Machine:
    """A machine, not started yet. An unknown name raises UsageError with the known ones."""
    try:
        factory = MACHINES[name]
    except KeyError:
        known = ", ".join(MACHINES)
        raise UsageError(f"there is no machine named {name!r}", hint=f"known: {known}") from None
    return factory()
