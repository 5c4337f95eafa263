"""Symbolic links of the object manager, and the drive letters of volumes.

Sources: Microsoft, *ZwOpenSymbolicLinkObject*, *ZwQuerySymbolicLinkObject* (wdm.h), *IoVolumeDeviceToDosName*
(ntddk.h). Of Windows' own links the drive C: and ``\\SystemRoot`` are there.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.handles import attributes_site, report_closed_handle
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string, string_parts
from harness.virtual.kernel.fileobjects import VOLUME_DEVICE
from harness.virtual.kernel.handletable import SymbolicLink
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_HANDLE,
    STATUS_NO_MEMORY,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_SYNTAX_BAD,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_ROOT_DIRECTORY, _OBJECT_NAME = 0x08, 0x10
"""Offsets in OBJECT_ATTRIBUTES."""
_LINKS: Final = {
    "\\??\\c:": VOLUME_DEVICE,
    "\\systemroot": "\\Device\\BootDevice\\Windows",
    "\\device\\bootdevice": VOLUME_DEVICE,
}
_DRIVE: Final = "C:"
_TAG: Final = b"VoDo"


@export("ZwOpenSymbolicLinkObject", 3)
def zw_open_symbolic_link_object(system: System, result: int, _access: int, attributes: int) -> int:
    memory = system.memory
    memory.u64(result)
    if memory.u64(attributes + _ROOT_DIRECTORY):
        system.lacks("ZwOpenSymbolicLinkObject(RootDirectory)")
    name_at = memory.u64(attributes + _OBJECT_NAME)
    text = read_unicode_string(system, name_at) if name_at else ""
    if not text.startswith("\\"):
        return STATUS_OBJECT_PATH_SYNTAX_BAD
    name = object_name(text)
    target = system.names.get(name, _LINKS.get(name))
    if target is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    if isinstance(target, int):  # a device
        return STATUS_OBJECT_TYPE_MISMATCH
    handle = system.open_handle(SymbolicLink(target), attributes_site(system, attributes))
    memory.put_u64(result, handle)
    return STATUS_SUCCESS


@export("ZwQuerySymbolicLinkObject", 3)
def zw_query_symbolic_link_object(system: System, handle: int, target: int, needed: int) -> int:
    """With a third argument there must be room for the NUL, too."""
    link, memory = system.handles.get(handle), system.memory
    if link is None:
        report_closed_handle(system, handle)
        return STATUS_INVALID_HANDLE
    if not isinstance(link, SymbolicLink):
        return STATUS_OBJECT_TYPE_MISMATCH
    _, room, buffer = string_parts(system, target)
    characters = link.target.encode("utf-16-le", "surrogatepass")
    content = characters + b"\0\0" if needed else characters
    if needed:
        memory.put_u32(needed, len(content))
    if room < len(content):
        return STATUS_BUFFER_TOO_SMALL
    memory.store(buffer, content)
    memory.store(target, encode_unicode_string(len(characters), room, buffer))
    return STATUS_SUCCESS


@export("IoVolumeDeviceToDosName", "RtlVolumeDeviceToDosName", 2)
def io_volume_device_to_dos_name(system: System, device: int, result: int) -> int:
    """``C:`` in paged pool, which the caller frees; an error for a device that is no volume."""
    if system.device_names.get(device) != VOLUME_DEVICE:
        return STATUS_INVALID_DEVICE_REQUEST
    characters = _DRIVE.encode("utf-16-le")
    block = system.pool.allocate(len(characters) + 2, _TAG, paged=True, site=system.call_site())
    if not block:
        return STATUS_NO_MEMORY
    system.memory.store(block, characters + b"\0\0")
    system.memory.store(result, encode_unicode_string(len(characters), len(characters) + 2, block))
    return STATUS_SUCCESS
