"""I/O manager: devices, symbolic links, completed requests, work items.

Who sends the requests is :mod:`harness.virtual.kernel.iomanager`. Sources: Microsoft, *IoCreateDevice*,
*IoCreateSymbolicLink*, *IofCompleteRequest*, *IoQueueWorkItem*, *IoFreeWorkItem* (wdm.h), *Bug Check 0xE4:
WORKER_INVALID*; structures of build 18362.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.deferred import WorkItem
from harness.virtual.kernel.deviceobjects import DeviceObject
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.iomanager import DeviceFlag
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.objects import ThreadObject
from harness.virtual.kernel.structures.irp import IRP
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_CHARACTERISTICS, _EXTENSION, _TYPE = 0x34, 0x40, 0x48
_DEVICE_TYPE_CODE: Final = 3
_MAX_EXTENSION: Final = 0xFFFF - DeviceObject.SIZE
"""DEVICE_OBJECT.Size counts the extension and is a USHORT."""
_WORK_ITEM: Final = 0x58
_WORK_ITEM_TAG: Final = b"IoWI"
_WORK_DEVICE: Final = 0x20
_WORKER_INVALID: Final = 0xE4
_ACTIVE_ITEM_FREED, _ALREADY_QUEUED = 0, 1

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
    if text and object_name(text) in system.names:
        return STATUS_OBJECT_NAME_COLLISION
    memory, extension_size = system.memory, extension_size & 0xFFFF_FFFF
    memory.u64(result)
    if extension_size > _MAX_EXTENSION:
        return STATUS_INSUFFICIENT_RESOURCES
    device = system.devices.make(driver, extension_size)
    if not device:
        return STATUS_INSUFFICIENT_RESOURCES
    flags = DeviceFlag.INITIALIZING | (DeviceFlag.EXCLUSIVE if exclusive & 0xFF else 0)
    memory.put_u16(device, _DEVICE_TYPE_CODE)
    memory.put_u16(device + 2, (DeviceObject.SIZE + extension_size) & 0xFFFF)
    memory.put_u32(device + DeviceObject.FLAGS, flags)
    memory.put_u32(device + _CHARACTERISTICS, characteristics)
    memory.put_u64(device + _EXTENSION, device + DeviceObject.SIZE if extension_size else 0)
    memory.put_u32(device + _TYPE, kind)
    memory.put_u8(device + DeviceObject.STACK_SIZE, 1)
    memory.put_u64(result, device)
    if text:
        system.names[object_name(text)] = device
        system.device_names[device] = text
    return STATUS_SUCCESS


@export("IoDeleteDevice", 1)
def io_delete_device(system: System, device: int) -> None:
    system.devices.delete(device)


@export("IoCreateSymbolicLink", "IoCreateUnprotectedSymbolicLink", 2)
def io_create_symbolic_link(system: System, name: int, target: int) -> int:
    link, meant = object_name(read_unicode_string(system, name)), read_unicode_string(system, target)
    if link in system.names:
        return STATUS_OBJECT_NAME_COLLISION
    system.names[link] = meant
    system.belongings.take(Belonging.SYMBOLIC_LINK, link, system.call_site())
    return STATUS_SUCCESS


@export("IoDeleteSymbolicLink", 1)
def io_delete_symbolic_link(system: System, name: int) -> int:
    link = object_name(read_unicode_string(system, name))
    if link not in system.names:
        return STATUS_OBJECT_NAME_NOT_FOUND
    del system.names[link]
    system.belongings.give_back(Belonging.SYMBOLIC_LINK, link)
    return STATUS_SUCCESS


@export("IoAllocateWorkItem", 1)
def io_allocate_work_item(system: System, device: int) -> int:
    site = system.call_site()
    item = system.pool.allocate(_WORK_ITEM, _WORK_ITEM_TAG, paged=False, site=site, of_object=True)
    if item:
        system.memory.put_u64(item + _WORK_DEVICE, device)
        system.belongings.take(Belonging.IO_WORK_ITEM, item, site)
    return item


@export("IoSizeofWorkItem", 0)
def io_sizeof_work_item(_system: System) -> int:
    return _WORK_ITEM


@export("IoInitializeWorkItem", 2)
def io_initialize_work_item(system: System, device: int, item: int) -> None:
    """For a work item in memory of the driver's own."""
    system.memory.store(item, bytes(_WORK_ITEM))
    system.memory.put_u64(item + _WORK_DEVICE, device)


@export("IoUninitializeWorkItem", 1)
def io_uninitialize_work_item(system: System, item: int) -> None:
    if item in system.work.waiting():
        raise BugcheckRaised(_WORKER_INVALID, _ACTIVE_ITEM_FREED, item, item, item + _WORK_ITEM)


@export("IoFreeWorkItem", 1)
def io_free_work_item(system: System, item: int) -> None:
    if item in system.work.waiting():
        raise BugcheckRaised(_WORKER_INVALID, _ACTIVE_ITEM_FREED, item, item, item + _WORK_ITEM)
    system.pool.free(item, _WORK_ITEM_TAG, system.call_site())
    system.belongings.give_back(Belonging.IO_WORK_ITEM, item)


@export("IoQueueWorkItem", 4)
def io_queue_work_item(system: System, item: int, routine: int, _queue: int, context: int) -> None:
    device = system.memory.u64(item + _WORK_DEVICE)
    _queue_item(system, item, routine, (device, context))


@export("IoQueueWorkItemEx", 4)
def io_queue_work_item_ex(system: System, item: int, routine: int, _queue: int, context: int) -> None:
    device = system.memory.u64(item + _WORK_DEVICE)
    _queue_item(system, item, routine, (device, context, item))


def _queue_item(system: System, item: int, routine: int, arguments: tuple[int, ...]) -> None:
    """The device's driver object stays until the item has ended (IoQueueWorkItem, Remarks)."""
    if item in system.work.waiting():
        raise BugcheckRaised(_WORKER_INVALID, _ALREADY_QUEUED, item)
    driver = system.memory.u64(arguments[0] + DeviceObject.DRIVER)
    system.devices.hold(arguments[0])
    system.work.queue(WorkItem(routine, arguments, driver=driver, address=item))


@export("IofCompleteRequest", "IoCompleteRequest", 2)
def iof_complete_request(system: System, irp: int, _boost: int) -> None:
    """Thread priorities decide nothing, so the boost is none."""
    system.complete_request(irp)


@export("IopInvalidDeviceRequest", 2)
def iop_invalid_device_request(system: System, _device: int, irp: int) -> int:
    """What the entries of DRIVER_OBJECT.MajorFunction point to until the driver sets them."""
    system.memory.put_u32(irp + IRP.offset("Status"), STATUS_INVALID_DEVICE_REQUEST)
    system.complete_request(irp)
    return STATUS_INVALID_DEVICE_REQUEST


@export("IoGetRequestorProcess", 1)
def io_get_requestor_process(system: System, irp: int) -> int:
    pid = io_get_requestor_process_id(system, irp)
    return system.objects.process(pid).address if pid else 0


@export("IoGetRequestorProcessId", 1)
def io_get_requestor_process_id(system: System, irp: int) -> int:
    thread = system.objects.at(system.memory.u64(irp + IRP.offset("Thread")))
    return thread.pid if isinstance(thread, ThreadObject) else 0


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
