"""What a callback was called with, read when the processor stands at its first instruction.

Layouts: Microsoft's pages of ntddk.h on PS_CREATE_NOTIFY_INFO and IMAGE_INFO, x64 and x86. Everything comes
from the target: what cannot be read is not known, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from harness.breakpoints.callframe import CallFrame, low8
from harness.breakpoints.targetreader import TargetReader, UnreadableMemory
from harness.callbacks import CALLBACK_KINDS
from harness.events import Call, Event

__all__ = [
    "NO_EVENT",
    "NO_ROOM",
    "CallbackSeen",
    "ClientId",
    "Fields",
    "RoutineRegistered",
    "called_with",
    "event_of",
]

NO_EVENT: Final = "there is no event for these callbacks"
NO_ROOM: Final = "the target takes no more breakpoints"

ClientId: TypeAlias = tuple[int, int]
"""PID and TID."""
Fields: TypeAlias = Mapping[str, int | str | None]
"""Fields of an event, by name; those that are not known are None or missing."""

T = TypeVar("T")


@dataclass(frozen=True)
class CallbackSeen:
    """A notify routine is about to run."""

    kind: str
    """A key of :data:`harness.callbacks.CALLBACK_KINDS`."""
    driver: str
    """File name of the image that holds the routine; empty where none does."""
    routine: int
    """How far behind that image's base it begins; its address where no image holds it."""
    fields: Fields
    """What it is told, and in which thread."""
    processor: int
    time: int | None
    """Interrupt time, 100 ns units; None where it cannot be read."""
    irql: int | None
    """None where the target's machine does not show it."""


def event_of(seen: CallbackSeen, host_time: float | None = None) -> Event:
    """The event whose witness is the breakpoint; its index is 0.

    :param host_time: see :class:`harness.events.Event`.
    """
    make: Callable[..., Event] = CALLBACK_KINDS[seen.kind].event
    return make(
        index=0,
        time=seen.time,
        cpu=seen.processor,
        host_time=host_time,
        witness="breakpoint",
        call=Call(driver=seen.driver, routine=seen.routine, irql=seen.irql),
        **seen.fields,
    )


@dataclass(frozen=True)
class RoutineRegistered:
    """A driver registers a callback."""

    export: str
    """The kernel's routine that it called, for example ``PsSetCreateProcessNotifyRoutineEx``."""
    driver: str
    """See :attr:`CallbackSeen.driver`."""
    routine: int
    """See :attr:`CallbackSeen.routine`."""
    unseen: str = ""
    """Why its calls are not seen, :data:`NO_EVENT` or :data:`NO_ROOM`; empty: they are, from now on."""

    def __str__(self) -> str:
        whose = f"{self.driver}+0x{self.routine:x}" if self.driver else f"0x{self.routine:x}"
        told = f"; its calls are not seen: {self.unseen}" if self.unseen else ""
        return f"{whose} was registered with {self.export}{told}"


def called_with(
    group: str, frame: CallFrame, reader: TargetReader, context: ClientId | None, *, extended: bool
) -> tuple[str, Fields]:
    """The kind of event that a call reports, and its fields.

    :param group: a key of :data:`harness.callbacks.GROUPS`.
    :param context: of the thread that the routine runs in; None where that is not known.
    :param extended: see :class:`~harness.breakpoints.registrations.RegisteringExport`.
    """
    if group == "process":
        return (_process_ex if extended else _process)(frame, reader, context)
    return _GROUPS[group](frame, reader, context)


def _if_readable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except UnreadableMemory:
        return None


def _in_context(context: ClientId | None) -> dict[str, int | str | None]:
    pid, tid = context or (None, None)
    return {"context_pid": pid, "context_tid": tid}


def _creating(context: ClientId | None) -> dict[str, int | str | None]:
    pid, tid = context or (None, None)
    return {"creating_pid": pid, "creating_tid": tid}


def _process(frame: CallFrame, _reader: TargetReader, context: ClientId | None) -> tuple[str, Fields]:
    parent, pid, create = (frame.argument(number) for number in range(3))
    if low8(create):
        return "process_create", {"pid": pid, "parent_pid": parent, **_creating(context)}
    return "process_exit", {"pid": pid, **_in_context(context)}


def _process_ex(frame: CallFrame, reader: TargetReader, context: ClientId | None) -> tuple[str, Fields]:
    pid, info = frame.argument(1), frame.argument(2)
    if not info:
        return "process_exit", {"pid": pid, **_in_context(context)}
    # Size and Flags fill two words on both; ParentProcessId, CreatingThreadId, FileObject, ImageFileName.
    words = _if_readable(lambda: reader.words(info, 7))
    if words is None:
        return "process_create", {"pid": pid, **_creating(context)}
    image = _if_readable(lambda: reader.unicode_string(words[6]))
    return "process_create", {
        "pid": pid,
        "parent_pid": words[2],
        **_creating((words[3], words[4])),
        "image": image,
    }


def _thread(frame: CallFrame, _reader: TargetReader, context: ClientId | None) -> tuple[str, Fields]:
    pid, tid, create = (frame.argument(number) for number in range(3))
    if low8(create):
        return "thread_create", {"pid": pid, "tid": tid, **_creating(context)}
    return "thread_exit", {"pid": pid, "tid": tid, **_in_context(context)}


def _image(frame: CallFrame, reader: TargetReader, context: ClientId | None) -> tuple[str, Fields]:
    name, pid, info = (frame.argument(number) for number in range(3))
    # Properties fill a word on both; ImageBase, ImageSelector, ImageSize.
    words = _if_readable(lambda: reader.words(info, 4))
    base, size = (None, None) if words is None else (words[1], words[3])
    image = _if_readable(lambda: reader.unicode_string(name))
    return "image_load", {"pid": pid, "image": image, "base": base, "size": size, **_in_context(context)}


_GROUPS: Final = {"thread": _thread, "image": _image}
