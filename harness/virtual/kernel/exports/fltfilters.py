"""Minifilters: registration, instances on volume C:, unloading. Operations on files reach none of them.

FLT_REGISTRATION.Size is not looked at: no status is documented for it. A driver that registers a
FilterUnloadCallback is unloaded by the filter manager, which calls that one, as is documented, and then the
DriverUnload that the driver had before, on which drivers rely. Sources: Microsoft,
*FltRegisterFilter*, *FLT_REGISTRATION*, *FltStartFiltering*, *FltUnregisterFilter*,
*PFLT_FILTER_UNLOAD_CALLBACK*, *PFLT_INSTANCE_SETUP_CALLBACK*, *PFLT_INSTANCE_TEARDOWN_CALLBACK*,
*FltGetVolumeName* (fltkernel.h); *Loading and Unloading*, *Closing the Communication Server Port*.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from harness.virtual.cpu.traps import Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.altitudes import altitude_of
from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.configuration import service_key_path
from harness.virtual.kernel.exports.fltcontexts import drop_contexts, read_context_kinds
from harness.virtual.kernel.exports.registry import FILTER_MANAGER, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string, string_parts
from harness.virtual.kernel.filtermanager import FilterCallbacks, Minifilter
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.structures.driverobject import (
    DRIVER_EXTENSION,
    DRIVER_UNLOAD,
    SERVICE_KEY_NAME,
)
from harness.virtual.kernel.structures.irp import operation_name
from harness.virtual.kernel.system import System
from harness.virtual.windows.layout import Layout
from harness.virtual.windows.status import (
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
    failed,
)

__all__: list[str] = []

_REGISTRATION: Final = Layout(
    "_FLT_REGISTRATION",
    0x58,
    {
        "Version": (0x02, "H"),
        "Flags": (0x04, "I"),
        "ContextRegistration": (0x08, "Q"),
        "OperationRegistration": (0x10, "Q"),
        "FilterUnloadCallback": (0x18, "Q"),
        "InstanceSetupCallback": (0x20, "Q"),
        "InstanceTeardownStartCallback": (0x30, "Q"),
        "InstanceTeardownCompleteCallback": (0x38, "Q"),
        "GenerateFileNameCallback": (0x40, "Q"),
        "NormalizeNameComponentCallback": (0x48, "Q"),
        "NormalizeContextCleanupCallback": (0x50, "Q"),
    },
)
"""What every version of it has."""
_MAJOR_VERSION: Final = 0x0200
_NO_SERVICE_STOP: Final = 0x1
"""FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP."""
_OPERATION_SIZE: Final = 0x20
_OPERATION_END: Final = 0x80
_MAX_OPERATIONS: Final = 256
_NO_AUTOMATIC_ATTACHMENT: Final = 0x1
"""Of an instance's Flags in the registry."""
_UNLOAD_MANDATORY: Final = 0x1
_SETUP_AUTOMATIC: Final = 0x1
_TEARDOWN_UNLOAD, _TEARDOWN_MANDATORY_UNLOAD = 0x2, 0x4
_DISK_FILE_SYSTEM, _NTFS = 0x8, 0x2
_RELATED_OBJECTS: Final = struct.Struct("<HH4x5Q")
_FILTER_TAG, _INSTANCE_TAG = b"FMfl", b"FMis"


@export("FltRegisterFilter", 3, module=FILTER_MANAGER)
def flt_register_filter(system: System, driver: int, registration: int, result: int) -> int:
    memory = system.memory
    memory.put_u64(result, 0)
    raw = memory.load(registration, _REGISTRATION.size)
    flags = _REGISTRATION.read(raw, "Flags")
    generates, normalizes, cleans = (
        _REGISTRATION.read(raw, field)
        for field in (
            "GenerateFileNameCallback",
            "NormalizeNameComponentCallback",
            "NormalizeContextCleanupCallback",
        )
    )
    if _REGISTRATION.read(raw, "Version") & 0xFF00 != _MAJOR_VERSION:
        return STATUS_INVALID_PARAMETER
    if (normalizes and not generates) or (cleans and not normalizes):
        return STATUS_INVALID_PARAMETER
    instance = _default_instance(system, driver)
    if instance is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    callbacks = FilterCallbacks(
        _REGISTRATION.read(raw, "FilterUnloadCallback"),
        _REGISTRATION.read(raw, "InstanceSetupCallback"),
        _REGISTRATION.read(raw, "InstanceTeardownStartCallback"),
        _REGISTRATION.read(raw, "InstanceTeardownCompleteCallback"),
    )
    altitude, attaches = instance
    manager = system.filter_manager
    address = manager.make_object(_FILTER_TAG)
    if not address:
        return STATUS_INSUFFICIENT_RESOURCES
    contexts = read_context_kinds(system, _REGISTRATION.read(raw, "ContextRegistration"))
    manager.filters[address] = Minifilter(
        address, driver, altitude_of(altitude), callbacks, attaches, contexts=contexts
    )
    before, ours = memory.u64(driver + DRIVER_UNLOAD), system.symbol("FltpMiniFilterDriverUnload")
    if before != ours:
        manager.unload_routines[driver] = before
    unloads = callbacks.unload and not flags & _NO_SERVICE_STOP
    memory.put_u64(driver + DRIVER_UNLOAD, ours if unloads else 0)
    operations = [*_operations(system, _REGISTRATION.read(raw, "OperationRegistration"))]
    if generates:
        operations.append("names of files")
    _tell_uncalled(system, operations)
    system.belongings.take(Belonging.MINIFILTER, address, system.call_site())
    memory.put_u64(result, address)
    return STATUS_SUCCESS


def _default_instance(system: System, driver: int) -> tuple[str, bool] | None:
    """Its altitude, and whether it attaches by itself; None where the registry does not have it."""
    memory, registry = system.memory, system.configuration
    extension = memory.u64(driver + DRIVER_EXTENSION)
    service = read_unicode_string(system, extension + SERVICE_KEY_NAME)
    instances = registry.find(None, f"{service_key_path(service)}\\Instances")
    name = None if instances is None else registry.text(instances, "DefaultInstance")
    key = None if name is None else registry.find(instances, name)
    altitude = None if key is None else registry.text(key, "Altitude")
    if key is None or altitude is None:
        return None
    flags = key.values.get("flags")
    return altitude, flags is None or not int.from_bytes(flags.data[:4], "little") & _NO_AUTOMATIC_ATTACHMENT


def _operations(system: System, table: int) -> Iterator[str]:
    """What a minifilter wants to be asked before or told after."""
    for at in range(table, table + _MAX_OPERATIONS * _OPERATION_SIZE, _OPERATION_SIZE) if table else ():
        major = system.memory.load(at, 1)[0]
        if major == _OPERATION_END:
            break
        if system.memory.u64(at + 8) or system.memory.u64(at + 0x10):
            yield operation_name(major)


def _tell_uncalled(system: System, operations: list[str]) -> None:
    site = system.call_site()
    if site is not None and operations:
        names = ", ".join(operations)
        system.calls.tell_uncalled(
            f"{site.driver} registered a minifilter, and the virtual target calls it for no operation on a"
            f" file: {names}"
        )


@export("FltStartFiltering", 1, module=FILTER_MANAGER)
def flt_start_filtering(system: System, address: int) -> int:
    found = _minifilter(system, address)
    if found is None or found.filtering:
        return STATUS_INVALID_PARAMETER
    found.filtering = True
    if not found.attaches or any(
        other.instance and other.altitude == found.altitude
        for other in system.filter_manager.filters.values()
    ):
        return STATUS_SUCCESS
    raise Continued(_attach(system, found))


def _minifilter(system: System, address: int) -> Minifilter | None:
    """Touches the object, so that one that is gone stops the machine, as on Windows."""
    system.memory.u64(address)
    return system.filter_manager.filters.get(address)


def _attach(system: System, minifilter: Minifilter) -> Program[int]:
    """To volume C:, unless its InstanceSetupCallback does not want it."""
    instance, status = system.filter_manager.make_object(_INSTANCE_TAG), STATUS_SUCCESS
    if not instance:
        return STATUS_SUCCESS
    minifilter.instance = instance
    if minifilter.callbacks.setup:
        about = (_SETUP_AUTOMATIC, _DISK_FILE_SYSTEM, _NTFS)
        status = yield from _call(
            system, minifilter, minifilter.callbacks.setup, about, "an InstanceSetupCallback"
        )
    if failed(status):
        yield from _remove(system, minifilter)
    return STATUS_SUCCESS


def _call(
    system: System, minifilter: Minifilter, routine: int, about: tuple[int, ...], what: str
) -> Program[int]:
    """Call a routine with the FLT_RELATED_OBJECTS of the instance; its NTSTATUS."""
    manager = system.filter_manager
    objects = system.heap.put(
        _RELATED_OBJECTS.pack(
            *(_RELATED_OBJECTS.size, 0, minifilter.address, manager.volume, minifilter.instance, 0, 0)
        )
    )
    result = yield from _enter(system, routine, (objects, *about), what)
    system.heap.take_back(objects)
    return result


def _enter(system: System, routine: int, arguments: tuple[int, ...], what: str) -> Program[int]:
    assert system.current is not None, "drivers call this"
    context = system.current.context
    result = yield from system.enter(routine, arguments, context, system.cpu.irql, what=what)
    return result & 0xFFFF_FFFF


@export("FltUnregisterFilter", 1, module=FILTER_MANAGER)
def flt_unregister_filter(system: System, address: int) -> int:
    """Waits for its communication ports to be closed and for references to it. A second time it is gone."""
    found = _minifilter(system, address)
    if found is None or found.unregisters:
        return 0
    found.unregisters = True
    raise Continued(_unregister(system, found, system.call_site()))


def _unregister(system: System, minifilter: Minifilter, site: CallSite | None) -> Program[int]:
    if minifilter.instance:
        yield from _tear_down(system, minifilter)
    yield from drop_contexts(system, minifilter, system.filter_manager.volume)

    def attempt() -> int | None:
        return None if minifilter.ports or minifilter.held else 0

    what = "waits in FltUnregisterFilter for "
    what += "its communication port to be closed" if minifilter.ports else "references to the minifilter"
    try:
        system.waits.until(attempt, (minifilter.address,), what)
    except Continued as rest:
        yield from rest.program
    del system.filter_manager.filters[minifilter.address]
    system.belongings.give_back(Belonging.MINIFILTER, minifilter.address)
    system.pool.free(minifilter.address, site=site)
    return 0


def _tear_down(system: System, minifilter: Minifilter) -> Program[None]:
    callbacks = minifilter.callbacks
    reason = (_TEARDOWN_MANDATORY_UNLOAD if minifilter.unloads else _TEARDOWN_UNLOAD,)
    if callbacks.teardown_start:
        yield from _call(
            system, minifilter, callbacks.teardown_start, reason, "an InstanceTeardownStartCallback"
        )
    if callbacks.teardown_complete:
        yield from _call(
            system, minifilter, callbacks.teardown_complete, reason, "an InstanceTeardownCompleteCallback"
        )
    yield from _remove(system, minifilter)


def _remove(system: System, minifilter: Minifilter) -> Program[None]:
    """The instance goes, with what is set on it."""
    instance = minifilter.instance
    yield from drop_contexts(system, minifilter, instance)
    minifilter.instance = 0
    system.pool.free(instance)


@export("FltpMiniFilterDriverUnload", 1, module=FILTER_MANAGER)
def fltp_mini_filter_driver_unload(system: System, driver: int) -> int:
    """What DriverUnload of a minifilter's driver is. A service is stopped: no status prevents that."""
    raise Continued(_unload(system, driver))


def _unload(system: System, driver: int) -> Program[int]:
    manager = system.filter_manager
    for minifilter in [found for found in manager.filters.values() if found.driver_object == driver]:
        minifilter.unloads = True
        if minifilter.callbacks.unload:
            yield from _enter(
                system, minifilter.callbacks.unload, (_UNLOAD_MANDATORY,), "a FilterUnloadCallback"
            )
    before = manager.unload_routines.pop(driver, 0)
    if before:
        yield from _enter(system, before, (driver,), "DriverUnload")
    return 0


@export("FltGetVolumeName", 3, module=FILTER_MANAGER)
def flt_get_volume_name(system: System, volume: int, name: int, needed: int) -> int:
    """The device's, with no character of NUL behind it."""
    known = system.filter_manager.volume_name(volume)
    if known is None:
        system.memory.u64(volume)
        system.lacks("FltGetVolumeName(of what is no volume)")
    characters = known.encode("utf-16-le")
    if needed:
        system.memory.put_u32(needed, len(characters))
    if not name:
        return STATUS_BUFFER_TOO_SMALL
    _, maximum, buffer = string_parts(system, name)
    if maximum < len(characters):
        system.memory.put_u16(name, 0)
        return STATUS_BUFFER_TOO_SMALL
    system.memory.store(buffer, characters)
    system.memory.store(name, encode_unicode_string(len(characters), maximum, buffer))
    return STATUS_SUCCESS
