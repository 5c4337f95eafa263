"""Object manager: references and handles to processes and threads.

Sources: Microsoft, *ObReferenceObjectByPointer*, *ObDereferenceObject*, *ObOpenObjectByPointer* (wdm.h,
ntifs.h).
"""

from __future__ import annotations

from harness.virtual.cpu.traps import BugcheckRaised, Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.exports.handles import handle_site, take_other_reference, take_reference
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.handletable import EventObject
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS

__all__ = ["open_for_driver"]

for _name in ("CmKeyObjectType", "ExDesktopObjectType", "ExEventObjectType", "ExSemaphoreObjectType"):
    data(_name)
data("SeTokenObjectType")

_REFERENCE_BY_POINTER = 0x18
_OBJ_KERNEL_HANDLE = 0x200
_TYPES = {3: "IoDeviceObjectType", 4: "IoDriverObjectType", 5: "IoFileObjectType"}
"""By what DEVICE_OBJECT, DRIVER_OBJECT and FILE_OBJECT begin with."""


@export("ObfReferenceObject", "ObReferenceObject", 1)
def obf_reference_object(system: System, address: int) -> int:
    item = system.objects.at(address)
    if item is not None:
        take_reference(system, item)
        return item.references
    if address in system.other_objects:
        take_other_reference(system, address)
    return 1


@export("ObfReferenceObjectWithTag", 2)
def obf_reference_object_with_tag(system: System, address: int, _tag: int) -> int:
    return obf_reference_object(system, address)


@export("ObReferenceObjectByPointer", 4)
def ob_reference_object_by_pointer(system: System, address: int, _access: int, kind: int, _mode: int) -> int:
    if kind and kind != ob_get_object_type(system, address):
        return STATUS_OBJECT_TYPE_MISMATCH
    obf_reference_object(system, address)
    return STATUS_SUCCESS


def open_for_driver(
    system: System, item: ProcessObject | ThreadObject, access: int, attributes: int, result: int
) -> int:
    """Store a handle to the object at ``result``, once the callbacks that watch it have run.

    :param attributes: OBJ_KERNEL_HANDLE and its like. The handle is one of the System process either way.
    """
    site = handle_site(system, attributes)
    if system.handle_opening.is_watched(item):
        raise Continued(_open_watched(system, item, access, attributes, result, site))
    system.memory.put_u64(result, system.open_handle(item, site))
    return STATUS_SUCCESS


def _open_watched(
    system: System,
    item: ProcessObject | ThreadObject,
    access: int,
    attributes: int,
    result: int,
    site: CallSite | None,
) -> Program[int]:
    assert system.current is not None
    context, kernel = system.current.context, bool(attributes & _OBJ_KERNEL_HANDLE)
    yield from system.handle_opening.open(item, access & 0xFFFF_FFFF, context, kernel=kernel)
    system.memory.put_u64(result, system.open_handle(item, site))
    return STATUS_SUCCESS


@export("ObGetObjectType", 1)
def ob_get_object_type(system: System, address: int) -> int:
    """NULL for an object whose type is none of those that ntoskrnl exports."""
    item = system.objects.at(address)
    if item is not None:
        name: str | None = "PsThreadType" if isinstance(item, ThreadObject) else "PsProcessType"
    elif system.key_notifications.key_at(address) is not None:
        name = "CmKeyObjectType"
    elif any(isinstance(held, EventObject) and held.address == address for held in system.handles.values()):
        name = "ExEventObjectType"
    else:
        name = _TYPES.get(system.memory.u16(address)) if address in system.other_objects else None
    return system.memory.u64(system.symbol(name)) if name else 0


@export("ObOpenObjectByPointer", 7)
def ob_open_object_by_pointer(
    system: System,
    address: int,
    attributes: int,
    _state: int,
    access: int,
    kind: int,
    _mode: int,
    handle: int,
) -> int:
    """For a process or a thread."""
    item = system.objects.at(address)
    own = "PsThreadType" if isinstance(item, ThreadObject) else "PsProcessType"
    if item is None or (kind and kind != system.memory.u64(system.symbol(own))):
        return STATUS_OBJECT_TYPE_MISMATCH
    system.memory.u64(handle)
    return open_for_driver(system, item, access, attributes, handle)


@export("ObOpenObjectByPointerWithTag", 8)
def ob_open_object_by_pointer_with_tag(
    system: System,
    address: int,
    attributes: int,
    state: int,
    access: int,
    kind: int,
    mode: int,
    _tag: int,
    handle: int,
) -> int:
    return ob_open_object_by_pointer(system, address, attributes, state, access, kind, mode, handle)


@export("ObfDereferenceObject", "ObDereferenceObject", "ObDereferenceObjectDeferDelete", 1)
def obf_dereference_object(system: System, address: int) -> int:
    """One reference fewer; one too many is bugcheck 0x18 REFERENCE_BY_POINTER, as on Windows."""
    item = system.objects.at(address)
    if item is None:
        if system.belongings.taken(Belonging.REFERENCE, address):
            system.belongings.give_back(Belonging.REFERENCE, address)
            system.reference_gone(address)
            return 0
        count = 0xFFFF_FFFF_FFFF_FFFF if address in system.other_objects else 0
        raise BugcheckRaised(_REFERENCE_BY_POINTER, 0, address, 2, count)
    if not system.objects.dereference(item):
        raise BugcheckRaised(_REFERENCE_BY_POINTER, 0, address, 2, 0xFFFF_FFFF_FFFF_FFFF)
    system.belongings.give_back(Belonging.REFERENCE, address)
    return item.references


@export("ObfDereferenceObjectWithTag", 2)
def obf_dereference_object_with_tag(system: System, address: int, _tag: int) -> int:
    return obf_dereference_object(system, address)
