"""What a driver's line about itself says of its notify routines."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from harness.callbacks import CallbackGroup, group_of_routine
from harness.events import Driver

__all__ = ["MAX_ROUTINES", "Registered", "RegistrationLine", "registration_of"]

MAX_ROUTINES: Final = 64
"""Of one group that are registered at a time; Windows has no room for more."""


class Registered(enum.Enum):
    """What became of a notify routine."""

    ADDED = "added"
    REFUSED = "refused"
    REMOVED = "removed"


class RegistrationLine(NamedTuple):
    """A line about one notify routine."""

    group: CallbackGroup
    what: Registered


def registration_of(event: Driver) -> RegistrationLine | None:
    """What the line says of a registration; None: nothing, or of a removal that failed.

    Threads and images are removed by routines of their own. Where one routine does both, ``DriverEntry``
    registers and every other function removes.
    """
    group = group_of_routine(event.routine)
    if group is None or event.totals is not None:
        return None
    entry = event.function == "DriverEntry"
    removes = event.routine == group.remove or (group.remove is None and not entry)
    if removes:
        return None if event.status else RegistrationLine(group, Registered.REMOVED)
    if not event.status:
        return RegistrationLine(group, Registered.ADDED)
    # Elsewhere another routine of the group may be registered, of which nothing was told.
    return RegistrationLine(group, Registered.REFUSED) if entry else None
