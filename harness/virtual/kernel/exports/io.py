"""I/O manager: devices, symbolic links, work items.

Devices exist so that a driver's DriverEntry runs to its end; no requests are sent to them. Sources:
Microsoft, *IoCreateDevice*, *IoCreateSymbolicLink*, *IoQueueWorkItem* (wdm.h); structures of build 18362.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.deferred import WorkItem
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_DEVICE_OBJECT: Final = 0x150
_DRIVER, _NEXT, _FLAGS, _CHARACTERISTICS, _EXTENSION, _TYPE, _STACK = 0x08, 0x10, 0x30, 0x34, 0x40, 0x48, 0x4C
_DRIVER_DEVICES: Final = 0x08
_DEVICE_TYPE_CODE: Final = 3
_DO_EXCLUSIVE: Final = 0x08
_DO_DEVICE_INITIALIZING: Final = 0x80
_MAX_EXTENSION: Final = 0xFFFF - _DEVICE_OBJECT
"""DEVICE_OBJECT.Size counts the extension and is a USHORT."""
_WORK_ITEM: Final = 0x58
_BAD_POOL_CALLER: Final = 0xC2
_WORK_DEVICE: Final = 0x20

data("IoFileObjectType")
data("IoDeviceObjectType")
data("IoDriverObjectType")


@export("IoCreateDevice", 7)
def io_create_device(
    system: System,
    driver: int,
    extension_size: int,
    name: int,
    kind: int,
    characteristics: int,
    exclusive: int,
    result: int,
) -> int:
    text = read_unicode_string(system, name) if name else ""
    if text and text.lower() in system.names:
        return STATUS_OBJECT_NAME_COLLISION
    memory, extension_size = system.memory, extension_size & 0xFFFF_FFFF
    if extension_size > _MAX_EXTENSION:
        return STATUS_INSUFFICIENT_RESOURCES
    device = system.heap.allocate(_DEVICE_OBJECT + extension_size)
    flags = _DO_DEVICE_INITIALIZING | (_DO_EXCLUSIVE if exclusive & 0xFF else 0)
    memory.put_u16(device, _DEVICE_TYPE_CODE)
    memory.put_u16(device + 2, (_DEVICE_OBJECT + extension_size) & 0xFFFF)
    memory.put_u32(device + 4, 1)
    memory.put_u64(device + _DRIVER, driver)
    memory.put_u64(device + _NEXT, memory.u64(driver + _DRIVER_DEVICES))
    memory.put_u32(device + _FLAGS, flags)
    memory.put_u32(device + _CHARACTERISTICS, characteristics)
    memory.put_u64(device + _EXTENSION, device + _DEVICE_OBJECT if extension_size else 0)
    memory.put_u32(device + _TYPE, kind)
    memory.put_u8(device + _STACK, 1)
    memory.put_u64(driver + _DRIVER_DEVICES, device)
    memory.put_u64(result, device)
    system.other_objects.add(device)
    if text:
        system.names[text.lower()] = device
    return STATUS_SUCCESS


@export("IoDeleteDevice", 1)
def io_delete_device(system: System, device: int) -> None:
    memory = system.memory
    following = memory.u64(device + _NEXT)
    link = memory.u64(device + _DRIVER) + _DRIVER_DEVICES
    while memory.u64(link) not in (0, device):
        link = memory.u64(link) + _NEXT
    if memory.u64(link) == device:
        memory.put_u64(link, following)
    for name in [name for name, owner in system.names.items() if owner == device]:
        del system.names[name]
    if device in system.other_objects:
        system.other_objects.remove(device)
        system.heap.free(device)


@export("IoCreateSymbolicLink", "IoCreateUnprotectedSymbolicLink", 2)
def io_create_symbolic_link(system: System, name: int, target: int) -> int:
    text = read_unicode_string(system, name).lower()
    read_unicode_string(system, target)
    if text in system.names:
        return STATUS_OBJECT_NAME_COLLISION
    system.names[text] = 0
    return STATUS_SUCCESS


@export("IoDeleteSymbolicLink", 1)
def io_delete_symbolic_link(system: System, name: int) -> int:
    text = read_unicode_string(system, name).lower()
    if text not in system.names:
        return STATUS_OBJECT_NAME_NOT_FOUND
    del system.names[text]
    return STATUS_SUCCESS


@export("IoAllocateWorkItem", 1)
def io_allocate_work_item(system: System, device: int) -> int:
    item = system.heap.allocate(_WORK_ITEM)
    system.memory.put_u64(item + _WORK_DEVICE, device)
    return item


@export("IoFreeWorkItem", 1)
def io_free_work_item(system: System, item: int) -> None:
    if not system.heap.owns(item):
        raise BugcheckRaised(_BAD_POOL_CALLER, 0x46, item, 0, 0)
    system.heap.free(item)


@export("IoQueueWorkItem", 4)
def io_queue_work_item(system: System, item: int, routine: int, _queue: int, context: int) -> None:
    device = system.memory.u64(item + _WORK_DEVICE)
    _queue_item(system, device, routine, (device, context))


@export("IoQueueWorkItemEx", 4)
def io_queue_work_item_ex(system: System, item: int, routine: int, _queue: int, context: int) -> None:
    device = system.memory.u64(item + _WORK_DEVICE)
    _queue_item(system, device, routine, (device, context, item))


def _queue_item(system: System, device: int, routine: int, arguments: tuple[int, ...]) -> None:
    """The device's driver object stays until the item has ended (IoQueueWorkItem, Remarks)."""
    system.work.queue(WorkItem(routine, arguments, driver=system.memory.u64(device + _DRIVER)))


@export("IofCompleteRequest", "IoCompleteRequest", 2)
def iof_complete_request(_system: System, _irp: int, _boost: int) -> None:
    """No requests are sent, so none is there to complete."""


@export("IopInvalidDeviceRequest", 2)
def iop_invalid_device_request(_system: System, _device: int, _irp: int) -> int:
    """What the entries of DRIVER_OBJECT.MajorFunction point to until the driver sets them."""
    return STATUS_INVALID_DEVICE_REQUEST


@export("IoRegisterShutdownNotification", 1)
def io_register_shutdown_notification(_system: System, _device: int) -> int:
    """The target is switched off, never shut down."""
    return STATUS_SUCCESS


@export("IoUnregisterShutdownNotification", 1)
def io_unregister_shutdown_notification(_system: System, _device: int) -> None:
    """See IoRegisterShutdownNotification."""


@export("IoGetStackLimits", 2)
def io_get_stack_limits(system: System, low: int, high: int) -> None:
    system.memory.put_u64(low, system.stack.low)
    system.memory.put_u64(high, system.stack.high)


@export("IoGetRemainingStackSize", 0)
def io_get_remaining_stack_size(system: System) -> int:
    return system.service_rsp - system.stack.low
