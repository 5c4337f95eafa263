"""The callback kinds: which notify routine reports which event, and how the kernel calls it.

One table for everything that must know them: the line grammar and the loss counter (the driver's totals), the
lifecycle rules (registrations), the scopes of scenarios, the virtual kernel, the documents. A kind more is a
row more here, and what a user of the table cannot draw from it (the event's own fields, how the virtual
kernel builds the arguments) is held to it by a test.

Sources: Microsoft's pages of ntddk.h on the ``PsSet...NotifyRoutine`` family and on
PCREATE_PROCESS_NOTIFY_ROUTINE(_EX), PCREATE_THREAD_NOTIFY_ROUTINE and PLOAD_IMAGE_NOTIFY_ROUTINE.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit

__all__ = [
    "CALLBACK_KINDS",
    "COUNTERS",
    "GROUPS",
    "IMAGE",
    "PROCESS",
    "THREAD",
    "CallbackGroup",
    "CallbackKind",
    "Registration",
    "group_of_event",
    "group_of_routine",
]


@dataclass(frozen=True)
class Registration:
    """A kernel routine that registers a notify routine."""

    routine: str
    parameters: tuple[str, ...]
    """What the notify routine is then called with."""


@dataclass(frozen=True)
class CallbackGroup:
    """Notify routines of one prototype family, which the kernel keeps in one array."""

    name: str
    """``process``, ``thread`` or ``image``."""
    registrations: tuple[Registration, ...]
    remove: str | None
    """The routine that removes; None: the registering one does, with its Remove parameter TRUE."""
    irql: str
    """At which a notify routine is called."""
    only_once: bool
    """Registering the same notify routine in the same form a second time is refused."""
    silent_after_removal: bool
    """Removal is documented to return after running notify routines have ended."""

    @property
    def routines(self) -> tuple[str, ...]:
        """Every routine that registers or removes."""
        removal = (self.remove,) if self.remove is not None else ()
        return (*(registration.routine for registration in self.registrations), *removal)


_PROCESS_EX = ("Process", "ProcessId", "CreateInfo")
_THREAD = ("ProcessId", "ThreadId", "Create")
_IMAGE = ("FullImageName", "ProcessId", "ImageInfo")

PROCESS = CallbackGroup(
    name="process",
    registrations=(
        Registration("PsSetCreateProcessNotifyRoutine", ("ParentId", "ProcessId", "Create")),
        Registration("PsSetCreateProcessNotifyRoutineEx", _PROCESS_EX),
        Registration("PsSetCreateProcessNotifyRoutineEx2", _PROCESS_EX),
    ),
    remove=None,
    irql="PASSIVE_LEVEL",
    only_once=True,
    silent_after_removal=False,
)
THREAD = CallbackGroup(
    name="thread",
    registrations=(
        Registration("PsSetCreateThreadNotifyRoutine", _THREAD),
        Registration("PsSetCreateThreadNotifyRoutineEx", _THREAD),
    ),
    remove="PsRemoveCreateThreadNotifyRoutine",
    irql="PASSIVE_LEVEL or APC_LEVEL",
    only_once=False,
    silent_after_removal=True,
)
IMAGE = CallbackGroup(
    name="image",
    registrations=(
        Registration("PsSetLoadImageNotifyRoutine", _IMAGE),
        Registration("PsSetLoadImageNotifyRoutineEx", _IMAGE),
    ),
    remove="PsRemoveLoadImageNotifyRoutine",
    irql="PASSIVE_LEVEL",
    only_once=False,
    silent_after_removal=True,
)

GROUPS: dict[str, CallbackGroup] = {group.name: group for group in (PROCESS, THREAD, IMAGE)}
"""Name → group, in the order in which our driver registers."""


@dataclass(frozen=True)
class CallbackKind:
    """An event that a notify routine reports."""

    kind: str
    """Key in :data:`harness.events.KINDS`; so the driver's totals name the counter of these events."""
    event: type[Event]
    group: CallbackGroup
    context: str
    """The thread in whose context the notify routine runs, in words."""
    context_fields: tuple[str, str]
    """The event's fields that carry that thread's PID and TID."""


_CREATING = ("creating_pid", "creating_tid")
_NEW_THREAD = "the thread that creates it; of a PsCreateThreadNotifyNonSystem routine the new thread"
_CONTEXT = ("context_pid", "context_tid")

CALLBACK_KINDS: dict[str, CallbackKind] = {
    row.kind: row
    for row in (
        CallbackKind("process_create", ProcessCreate, PROCESS, "the thread that creates it", _CREATING),
        CallbackKind("process_exit", ProcessExit, PROCESS, "the last thread of the process", _CONTEXT),
        CallbackKind("thread_create", ThreadCreate, THREAD, _NEW_THREAD, _CREATING),
        CallbackKind("thread_exit", ThreadExit, THREAD, "the thread that ends", _CONTEXT),
        CallbackKind("image_load", ImageLoad, IMAGE, "the thread that maps the image", _CONTEXT),
    )
}
"""Kind → how it comes about. The kinds that are in a scenario's scope without being named."""

COUNTERS: tuple[str, ...] = tuple(CALLBACK_KINDS)
"""The names in our driver's totals line, in its order: a counter each kind."""

_BY_EVENT: dict[type, str] = {row.event: row.group.name for row in CALLBACK_KINDS.values()}
_BY_ROUTINE: dict[str, CallbackGroup] = {
    routine: group for group in GROUPS.values() for routine in group.routines
}


def group_of_event(event: Event) -> str | None:
    """The name of the group whose notify routines report such an event; None for other kinds."""
    return _BY_EVENT.get(type(event))


def group_of_routine(routine: str | None) -> CallbackGroup | None:
    """The group that a kernel routine registers in or removes from; None for any other routine."""
    return _BY_ROUTINE.get(routine) if routine is not None else None
