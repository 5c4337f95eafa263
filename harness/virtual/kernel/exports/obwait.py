"""Waits for handles, and events that have one.

Sources: Microsoft, *ZwWaitForSingleObject*, *ZwCreateEvent*, *ZwSetEvent* (ntifs.h),
*IoCreateNotificationEvent*, *IoCreateSynchronizationEvent* (wdm.h). An event stays in memory when its handle
is closed.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.handles import attributes_site, handle_site, report_closed_handle
from harness.virtual.kernel.exports.kewait import (
    alertability,
    initialize_event,
    ke_reset_event,
    ke_set_event,
    wait_for,
)
from harness.virtual.kernel.exports.psquery import handle_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.handletable import EventObject
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_EXISTS,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_SYNTAX_BAD,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_OBJECT_NAME, _ROOT_DIRECTORY, _ATTRIBUTES = 0x10, 0x08, 0x18
"""Offsets in OBJECT_ATTRIBUTES."""
_OBJ_OPENIF: Final = 0x80
_OBJ_KERNEL_HANDLE: Final = 0x200
_NOTIFICATION, _SYNCHRONIZATION = 0, 1
_EVENT_SIZE: Final = 0x18
MAX_EVENTS: Final = 0x1_0000
"""Events that drivers make in a boot; making further ones fails."""


def _make(system: System, name: str, kind: int, *, signalled: bool) -> EventObject | None:
    """A new event; None where there are too many."""
    if system.handles.events >= MAX_EVENTS:
        return None
    system.handles.events += 1
    event = EventObject(system.heap.allocate(_EVENT_SIZE), name)
    system.other_objects.add(event.address)
    initialize_event(system, event.address, kind, int(signalled))
    return event


def _name(system: System, attributes: int) -> str | int:
    """What OBJECT_ATTRIBUTES name, empty where they name nothing, or the NTSTATUS of a name that is none."""
    name_at = system.memory.u64(attributes + _OBJECT_NAME) if attributes else 0
    if not name_at:
        return ""
    if system.memory.u64(attributes + _ROOT_DIRECTORY):
        system.lacks(f"{system.image.functions[system.service]}(RootDirectory)")
    name = read_unicode_string(system, name_at)
    if name and not name.startswith("\\"):
        return STATUS_OBJECT_PATH_SYNTAX_BAD
    return object_name(name)


def _event(system: System, handle: int) -> EventObject | int:
    """What the handle stands for, or the NTSTATUS of a wrong one."""
    item = system.handles.get(handle)
    if item is None:
        report_closed_handle(system, handle)
        return STATUS_INVALID_HANDLE
    return item if isinstance(item, EventObject) else STATUS_OBJECT_TYPE_MISMATCH


@export("ZwCreateEvent", 5)
def zw_create_event(
    system: System, result: int, _access: int, attributes: int, kind: int, signalled: int
) -> int:
    system.memory.u64(result)
    if kind & 0xFFFF_FFFF > _SYNCHRONIZATION:
        return STATUS_INVALID_PARAMETER
    name = _name(system, attributes)
    if isinstance(name, int):
        return name
    event, status = system.handles.event_named(name), STATUS_SUCCESS
    if event is not None:
        if not system.memory.u32(attributes + _ATTRIBUTES) & _OBJ_OPENIF:
            return STATUS_OBJECT_NAME_COLLISION
        status = STATUS_OBJECT_NAME_EXISTS
    else:
        event = _make(system, name, kind, signalled=bool(signalled & 0xFF))
        if event is None:
            return STATUS_INSUFFICIENT_RESOURCES
    system.memory.put_u64(result, system.open_handle(event, attributes_site(system, attributes)))
    return status


@export("ZwOpenEvent", 3)
def zw_open_event(system: System, result: int, _access: int, attributes: int) -> int:
    system.memory.u64(result)
    name = _name(system, attributes)
    if isinstance(name, int):
        return name
    event = system.handles.event_named(name)
    if event is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    system.memory.put_u64(result, system.open_handle(event, attributes_site(system, attributes)))
    return STATUS_SUCCESS


@export("ZwSetEvent", 2)
def zw_set_event(system: System, handle: int, previous: int) -> int:
    event = _event(system, handle)
    if isinstance(event, int):
        return event
    old = ke_set_event(system, event.address, 0, 0)
    if previous:
        system.memory.put_u32(previous, old)
    return STATUS_SUCCESS


@export("ZwResetEvent", 2)
def zw_reset_event(system: System, handle: int, previous: int) -> int:
    event = _event(system, handle)
    if isinstance(event, int):
        return event
    old = ke_reset_event(system, event.address)
    if previous:
        system.memory.put_u32(previous, old)
    return STATUS_SUCCESS


@export("ZwClearEvent", 1)
def zw_clear_event(system: System, handle: int) -> int:
    return zw_reset_event(system, handle, 0)


def _create_or_open(system: System, name_at: int, result: int, kind: int) -> int:
    system.memory.u64(result)
    name = object_name(read_unicode_string(system, name_at))
    event = system.handles.event_named(name) or _make(system, name, kind, signalled=True)
    if event is None:
        return 0
    site = handle_site(system, _OBJ_KERNEL_HANDLE)
    system.memory.put_u64(result, system.open_handle(event, site))
    return event.address


@export("IoCreateNotificationEvent", 2)
def io_create_notification_event(system: System, name: int, result: int) -> int:
    """A new one is signalled. The address is good as long as the handle is open."""
    return _create_or_open(system, name, result, _NOTIFICATION)


@export("IoCreateSynchronizationEvent", 2)
def io_create_synchronization_event(system: System, name: int, result: int) -> int:
    """As :func:`io_create_notification_event`."""
    return _create_or_open(system, name, result, _SYNCHRONIZATION)


@export("ZwWaitForSingleObject", "NtWaitForSingleObject", 3)
def zw_wait_for_single_object(system: System, handle: int, alertable: int, timeout: int) -> int:
    """Keys and files are always signalled: no request to a file here is under way."""
    item = system.handles.get(handle) or handle_to(system, handle)
    if item is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(item, ProcessObject | ThreadObject | EventObject):
        return STATUS_SUCCESS
    return wait_for(system, (item.address,), alertability(0, alertable), any_of=True, timeout=timeout)
