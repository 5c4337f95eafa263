"""The three arrays of notify callbacks, with the limits and statuses that Microsoft documents.

Sources: *PsSetCreateProcessNotifyRoutine(Ex, Ex2)*, *PsSetCreateThreadNotifyRoutine(Ex)*,
*PsSetLoadImageNotifyRoutine(Ex)*, *PsRemoveCreateThreadNotifyRoutine*, *PsRemoveLoadImageNotifyRoutine*
(ntddk.h).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from harness.callbacks import GROUPS
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_PROCEDURE_NOT_FOUND,
    STATUS_SUCCESS,
)

__all__ = ["LIMIT", "Callback", "Callbacks"]

LIMIT: Final = 64
"""Routines of each group, since Windows 8.1 with its update."""


class Callback(NamedTuple):
    """One registered routine."""

    routine: int
    extended: bool
    """Registered through an Ex routine: process callbacks take PS_CREATE_NOTIFY_INFO, thread callbacks
    run on the new thread when registered as non-system."""
    driver: str
    """Name of the image it lies in."""


class Callbacks:
    """What is registered, in order of registration.

    A group is the key of a row of :data:`harness.callbacks.GROUPS`.
    """

    def __init__(self) -> None:
        self._registered: dict[str, list[Callback]] = {group: [] for group in GROUPS}

    def of(self, group: str) -> tuple[Callback, ...]:
        """The routines of one group."""
        return tuple(self._registered[group])

    def register(self, group: str, callback: Callback) -> int:
        """Add a routine; the NTSTATUS. Only process routines may not be registered twice."""
        routines = self._registered[group]
        if GROUPS[group].only_once:
            twice = any(c.routine == callback.routine and c.extended == callback.extended for c in routines)
            if twice or len(routines) >= LIMIT:
                return STATUS_INVALID_PARAMETER
        elif len(routines) >= LIMIT:
            return STATUS_INSUFFICIENT_RESOURCES
        routines.append(callback)
        return STATUS_SUCCESS

    def remove(self, group: str, routine: int, *, extended: bool | None = None) -> int:
        """Take a routine out; the NTSTATUS.

        :param extended: which of the two forms; None for groups where removal does not tell them apart.
        """
        routines = self._registered[group]
        for index, callback in enumerate(routines):
            if callback.routine == routine and extended in (None, callback.extended):
                del routines[index]
                return STATUS_SUCCESS
        return STATUS_PROCEDURE_NOT_FOUND
