"""The kernel's exports that register callbacks, and which routines a call of one hands over.

Sources: Microsoft's pages of ntddk.h and wdm.h on the ``PsSet...NotifyRoutine`` family,
OB_CALLBACK_REGISTRATION and CmRegisterCallbackEx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.breakpoints.callframe import CallFrame, low8
from harness.breakpoints.targetreader import TargetReader
from harness.callbacks import GROUPS

__all__ = ["MAX_OPERATIONS", "REGISTRATIONS", "RegisteringExport", "registered_routines"]

MAX_OPERATIONS: Final = 16
"""Entries of an OB_CALLBACK_REGISTRATION that are looked at; Windows knows three object types."""


@dataclass(frozen=True)
class RegisteringExport:
    """An export of the kernel that registers callbacks."""

    name: str
    group: str | None
    """A key of :data:`harness.callbacks.GROUPS`; None: callbacks of which there is no event."""
    extended: bool
    """A process callback is called with PS_CREATE_NOTIFY_INFO."""
    routines: Callable[[CallFrame, TargetReader], tuple[int, ...]]
    """Out of the call's arguments, the routines that it registers."""


def _nth(number: int, *, remove: int | None = None) -> Callable[[CallFrame, TargetReader], tuple[int, ...]]:
    def routines(frame: CallFrame, _reader: TargetReader) -> tuple[int, ...]:
        if remove is not None and low8(frame.argument(remove)):
            return ()
        return (frame.argument(number),)

    return routines


def _object_operations(frame: CallFrame, reader: TargetReader) -> tuple[int, ...]:
    """Pre- and PostOperation of each OB_OPERATION_REGISTRATION."""
    word = reader.pointer_size
    registration = frame.argument(0)
    count = min(reader.unsigned(registration + 2, 2), MAX_OPERATIONS)
    # Version and count, Altitude (two words), RegistrationContext, OperationRegistration
    operations = reader.words(registration, 5)[4]
    found: list[int] = []
    for number in range(count):
        found += reader.words(operations + 4 * word * number, 4)[2:]
    return tuple(found)


_ROUTINES: Final[Mapping[str, Callable[[CallFrame, TargetReader], tuple[int, ...]]]] = {
    "PsSetCreateProcessNotifyRoutine": _nth(0, remove=1),
    "PsSetCreateProcessNotifyRoutineEx": _nth(0, remove=1),
    "PsSetCreateProcessNotifyRoutineEx2": _nth(1, remove=2),
    "PsSetCreateThreadNotifyRoutine": _nth(0),
    "PsSetCreateThreadNotifyRoutineEx": _nth(1),
    "PsSetLoadImageNotifyRoutine": _nth(0),
    "PsSetLoadImageNotifyRoutineEx": _nth(0),
}

REGISTRATIONS: Final[tuple[RegisteringExport, ...]] = (
    *(
        RegisteringExport(
            registration.routine,
            group.name,
            "CreateInfo" in registration.parameters,
            _ROUTINES[registration.routine],
        )
        for group in GROUPS.values()
        for registration in group.registrations
    ),
    RegisteringExport("ObRegisterCallbacks", None, False, _object_operations),
    RegisteringExport("CmRegisterCallbackEx", None, False, _nth(0)),
)
"""All of them."""


def registered_routines(export: RegisteringExport, frame: CallFrame, reader: TargetReader) -> tuple[int, ...]:
    """The routines that this call registers, each once, without null pointers; empty where it removes one.

    :raises RigError: the target cannot read what the arguments point to.
    """
    return tuple(dict.fromkeys(routine for routine in export.routines(frame, reader) if routine))
