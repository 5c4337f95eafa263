"""Names of objects and files.

Sources: Microsoft, *ObQueryNameString*, *IoQueryFileDosDeviceName* (ntifs.h, wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.handles import take_other_reference
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.structures.irp import FILE_OBJECT, IO_TYPE_FILE
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_NO_MEMORY,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__ = ["file_name"]

_DRIVER_TYPE: Final = 4
_DRIVER_NAME: Final = 0x38
_HEADER: Final = 0x10
"""OBJECT_NAME_INFORMATION without its characters."""
_VOLUME: Final = "\\device\\harddiskvolume3"
_DRIVE: Final = "C:"
_TAG: Final = b"IoNm"
_MAX_LINKS: Final = 32
"""That lead to one another; links that a driver has closed into a circle lead nowhere."""


def file_name(system: System, file: int) -> str:
    """That of a FILE_OBJECT as an NT path, with the device that it lies on."""
    memory = system.memory
    name = read_unicode_string(system, file + FILE_OBJECT.offset("FileName"))
    device = memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
    return system.device_names.get(device, "") + name


def _name(system: System, item: int) -> str:
    """The name of an object; "" of one that has none, as processes and threads have none."""
    if system.objects.at(item) is not None:
        return ""
    if (key := system.key_notifications.key_at(item)) is not None:
        return key.path
    kind = system.memory.u16(item)
    if kind == IO_TYPE_FILE:
        return file_name(system, item)
    if kind == _DRIVER_TYPE:
        return read_unicode_string(system, item + _DRIVER_NAME)
    return system.device_names.get(item, "")


def _information(name: str, at: int) -> bytes:
    """OBJECT_NAME_INFORMATION that lies there."""
    raw = name.encode("utf-16-le", "surrogatepass")
    return encode_unicode_string(len(raw), len(raw) + 2, at + _HEADER) + raw + b"\0\0"


@export("ObQueryNameString", 4)
def ob_query_name_string(system: System, item: int, buffer: int, size: int, needed: int) -> int:
    name = _name(system, item)
    content = _information(name, buffer) if name else encode_unicode_string(0, 0, 0)
    system.memory.put_u32(needed, len(content))
    if size & 0xFFFF_FFFF < len(content):
        return STATUS_INFO_LENGTH_MISMATCH
    system.memory.store(buffer, content)
    return STATUS_SUCCESS


def _named(system: System, name: str) -> tuple[int, str] | None:
    """The driver or the device of that name, with the variable that holds its type; links are followed."""
    for _ in range(_MAX_LINKS):
        target = system.names.get(object_name(name))
        if isinstance(target, int):
            return target, "IoDeviceObjectType"
        if target is None:
            break
        name = target
    for driver in system.drivers.values():
        known = read_unicode_string(system, driver.driver_object + _DRIVER_NAME)
        if object_name(known) == object_name(name):
            return driver.driver_object, "IoDriverObjectType"
    return None


@export("ObReferenceObjectByName", 8)
def ob_reference_object_by_name(
    system: System,
    name: int,
    _attributes: int,
    _state: int,
    _access: int,
    kind: int,
    _mode: int,
    _parse_context: int,
    result: int,
) -> int:
    """For drivers that are loaded and their devices; Windows' own are not there. The routine is not
    documented: as in ReactOS."""
    found = _named(system, read_unicode_string(system, name))
    if found is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    item, type_name = found
    if kind and kind != system.memory.u64(system.symbol(type_name)):
        return STATUS_OBJECT_TYPE_MISMATCH
    system.memory.put_u64(result, take_other_reference(system, item))
    return STATUS_SUCCESS


@export("IoQueryFileDosDeviceName", 2)
def io_query_file_dos_device_name(system: System, file: int, result: int) -> int:
    """``C:\\...`` in paged pool, which the caller frees with ExFreePool."""
    name = file_name(system, file)
    if not name.lower().startswith(_VOLUME):
        return STATUS_OBJECT_PATH_NOT_FOUND
    name = _DRIVE + name[len(_VOLUME) :]
    block = system.pool.allocate(len(_information(name, 0)), _TAG, paged=True, site=system.call_site())
    if not block:
        return STATUS_NO_MEMORY
    system.memory.store(block, _information(name, block))
    system.memory.put_u64(result, block)
    return STATUS_SUCCESS
