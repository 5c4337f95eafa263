"""Files that drivers open, write and read: logs above all.

All requests are completed at once. Sources: Microsoft, *ZwCreateFile*, *ZwWriteFile*, *ZwReadFile*,
*ZwQueryInformationFile*, *ZwSetInformationFile* (wdm.h).
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.kernel.exports.handles import attributes_site, report_closed_handle
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.system import System
from harness.virtual.kernel.volume import OpenFile, StoredFile
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_DISK_FULL,
    STATUS_END_OF_FILE,
    STATUS_FILE_IS_A_DIRECTORY,
    STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_NOT_FOUND,
    STATUS_OBJECT_PATH_SYNTAX_BAD,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_ROOT_DIRECTORY, _OBJECT_NAME = 0x08, 0x10
"""Offsets in OBJECT_ATTRIBUTES."""
_READ, _WRITE, _APPEND = 0x1, 0x2, 0x4
"""FILE_READ_DATA, FILE_WRITE_DATA, FILE_APPEND_DATA."""
_GENERIC: Final = ((0x8000_0000, _READ), (0x4000_0000, _WRITE | _APPEND), (0x1000_0000, 0x7))
_SUPERSEDE, _OPEN, _CREATE, _OPEN_IF, _OVERWRITE, _OVERWRITE_IF = range(6)
_SUPERSEDED, _OPENED, _CREATED, _OVERWRITTEN = range(4)
"""IO_STATUS_BLOCK.Information."""
_DIRECTORY_FILE, _SYNCHRONOUS, _NON_DIRECTORY = 0x1, 0x30, 0x40
_DELETE_ON_CLOSE: Final = 0x1000
_END_OF_FILE, _FILE_POINTER = 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE
"""FILE_WRITE_TO_END_OF_FILE, FILE_USE_FILE_POINTER_POSITION."""
_WITH_CODE: Final = (".exe", ".dll", ".sys")
_MAX_OFFSET: Final = 1 << 40
_STANDARD, _POSITION = 5, 14
"""FileStandardInformation, FilePositionInformation."""
_DISPOSITION, _SET_END_OF_FILE = 13, 20


def _finish(system: System, iosb: int, status: int, information: int = 0) -> int:
    system.memory.put_u32(iosb, status)
    system.memory.put_u64(iosb + 8, information)
    return status


def _path(system: System, attributes: int) -> str | int:
    """The path on the volume, or the NTSTATUS."""
    memory = system.memory
    name_at = memory.u64(attributes + _OBJECT_NAME)
    if memory.u64(attributes + _ROOT_DIRECTORY):
        system.lacks("ZwCreateFile(RootDirectory)")
    name = read_unicode_string(system, name_at) if name_at else ""
    if not name.startswith("\\"):
        return STATUS_OBJECT_PATH_SYNTAX_BAD
    if any(character in name for character in '*"<>|'):
        return STATUS_OBJECT_NAME_INVALID
    path = system.volume.resolve(name)
    if path is None and object_name(name) in system.names:
        system.lacks("ZwCreateFile(of a device)")
    return STATUS_OBJECT_NAME_NOT_FOUND if path is None else path


def _rights(access: int) -> int:
    rights = access & (_READ | _WRITE | _APPEND)
    for generic, meant in _GENERIC:
        rights |= meant if access & generic else 0
    return rights


@export("ZwCreateFile", 11)
def zw_create_file(
    system: System,
    result: int,
    access: int,
    attributes: int,
    iosb: int,
    _allocation: int,
    _file_attributes: int,
    _share: int,
    disposition: int,
    options: int,
    _extended: int,
    _extended_size: int,
) -> int:
    system.memory.u64(result)
    disposition &= 0xFFFF_FFFF
    if disposition > _OVERWRITE_IF:
        return STATUS_INVALID_PARAMETER
    path = _path(system, attributes)
    if isinstance(path, int):
        return _finish(system, iosb, path)
    found = _create_folder(system, path, disposition, options)
    if found is None:
        found = _create_file(system, path, disposition)
    if isinstance(found, int):
        return _finish(system, iosb, found)
    file, how = found
    opened = OpenFile(
        file,
        _rights(access),
        synchronous=bool(options & _SYNCHRONOUS),
        delete_on_close=bool(options & _DELETE_ON_CLOSE),
    )
    system.memory.put_u64(result, system.open_handle(opened, attributes_site(system, attributes)))
    return _finish(system, iosb, STATUS_SUCCESS, how)


def _create_folder(
    system: System, path: str, disposition: int, options: int
) -> tuple[StoredFile, int] | int | None:
    """What came of it; None where a file is meant."""
    there = system.volume.is_folder(path)
    if not there and not options & _DIRECTORY_FILE:
        return None
    if options & _NON_DIRECTORY:
        return STATUS_FILE_IS_A_DIRECTORY
    if there:
        return STATUS_OBJECT_NAME_COLLISION if disposition == _CREATE else (StoredFile(path), _OPENED)
    if disposition not in (_CREATE, _OPEN_IF):
        return STATUS_OBJECT_NAME_NOT_FOUND
    if not system.volume.has_parent(path):
        return STATUS_OBJECT_PATH_NOT_FOUND
    return system.volume.create_folder(path), _CREATED


def _create_file(system: System, path: str, disposition: int) -> tuple[StoredFile, int] | int:
    volume = system.volume
    file = volume.find(path)
    if file is None:
        if not volume.has_parent(path):
            return STATUS_OBJECT_PATH_NOT_FOUND
        if disposition in (_OPEN, _OVERWRITE):
            if path.endswith(_WITH_CODE):
                system.lacks(
                    "ZwCreateFile(of a program, a library or a driver: their contents are not known)"
                )
            return STATUS_OBJECT_NAME_NOT_FOUND
        return volume.create(path), _CREATED
    if disposition == _CREATE:
        return STATUS_OBJECT_NAME_COLLISION
    if disposition in (_OPEN, _OPEN_IF):
        return file, _OPENED
    volume.set_size(file, 0)
    return file, _SUPERSEDED if disposition == _SUPERSEDE else _OVERWRITTEN


@export("ZwOpenFile", 6)
def zw_open_file(
    system: System, result: int, access: int, attributes: int, iosb: int, share: int, options: int
) -> int:
    return zw_create_file(system, result, access, attributes, iosb, 0, 0, share, _OPEN, options, 0, 0)


@export("ZwDeleteFile", 1)
def zw_delete_file(system: System, attributes: int) -> int:
    path = _path(system, attributes)
    if isinstance(path, int):
        return path
    if system.volume.find(path) is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    system.volume.delete(path)
    return STATUS_SUCCESS


def _file(system: System, handle: int) -> OpenFile | int:
    """What a handle stands for, or the NTSTATUS."""
    item = system.handles.get(handle)
    if item is None:
        report_closed_handle(system, handle)
        return STATUS_INVALID_HANDLE
    return item if isinstance(item, OpenFile) else STATUS_OBJECT_TYPE_MISMATCH


def _offset(system: System, opened: OpenFile, offset_at: int) -> int | None:
    """Where a request begins; None where neither it nor the handle says."""
    wanted = system.memory.u64(offset_at) if offset_at else _FILE_POINTER
    if wanted == _FILE_POINTER:
        return opened.position if opened.synchronous else None
    return len(opened.file.content) if wanted == _END_OF_FILE else wanted


@export("ZwWriteFile", 9)
def zw_write_file(
    system: System,
    handle: int,
    event: int,
    routine: int,
    _context: int,
    iosb: int,
    buffer: int,
    size: int,
    offset_at: int,
    _key: int,
) -> int:
    opened, size = _file(system, handle), size & 0xFFFF_FFFF
    if isinstance(opened, int):
        return opened
    if event or routine:
        system.lacks("ZwWriteFile(Event, ApcRoutine)")
    if not opened.access & (_WRITE | _APPEND):
        return STATUS_ACCESS_DENIED
    appends = not opened.access & _WRITE
    offset = len(opened.file.content) if appends else _offset(system, opened, offset_at)
    if offset is None or offset > _MAX_OFFSET:
        return STATUS_INVALID_PARAMETER
    data = system.memory.load(buffer, size) if size else b""
    if not system.volume.write(opened.file, offset, data):
        return _finish(system, iosb, STATUS_DISK_FULL)
    opened.position = offset + size
    return _finish(system, iosb, STATUS_SUCCESS, size)


@export("ZwReadFile", 9)
def zw_read_file(
    system: System,
    handle: int,
    event: int,
    routine: int,
    _context: int,
    iosb: int,
    buffer: int,
    size: int,
    offset_at: int,
    _key: int,
) -> int:
    opened, size = _file(system, handle), size & 0xFFFF_FFFF
    if isinstance(opened, int):
        return opened
    if event or routine:
        system.lacks("ZwReadFile(Event, ApcRoutine)")
    if not opened.access & _READ:
        return STATUS_ACCESS_DENIED
    offset = _offset(system, opened, offset_at)
    if offset is None:
        return STATUS_INVALID_PARAMETER
    data = bytes(opened.file.content[offset : offset + size])
    if not data and size:
        return _finish(system, iosb, STATUS_END_OF_FILE)
    if data:
        system.memory.store(buffer, data)
    opened.position = offset + len(data)
    return _finish(system, iosb, STATUS_SUCCESS, len(data))


@export("ZwFlushBuffersFile", 2)
def zw_flush_buffers_file(system: System, handle: int, iosb: int) -> int:
    opened = _file(system, handle)
    return opened if isinstance(opened, int) else _finish(system, iosb, STATUS_SUCCESS)


@export("ZwQueryInformationFile", 5)
def zw_query_information_file(
    system: System, handle: int, iosb: int, buffer: int, size: int, kind: int
) -> int:
    opened, size, kind = _file(system, handle), size & 0xFFFF_FFFF, kind & 0xFFFF_FFFF
    if isinstance(opened, int):
        return opened
    if kind == _STANDARD:
        length, folder = len(opened.file.content), system.volume.is_folder(opened.file.path)
        allocated = (length + 0xFFF) & ~0xFFF
        content = struct.pack("<QQIBB2x", allocated, length, 1, int(opened.delete_on_close), int(folder))
    elif kind == _POSITION:
        content = struct.pack("<Q", opened.position)
    else:
        system.lacks(f"ZwQueryInformationFile(class {kind})")
    if size < len(content):
        return STATUS_INFO_LENGTH_MISMATCH
    system.memory.store(buffer, content)
    return _finish(system, iosb, STATUS_SUCCESS, len(content))


@export("ZwSetInformationFile", 5)
def zw_set_information_file(system: System, handle: int, iosb: int, buffer: int, size: int, kind: int) -> int:
    opened, size, kind = _file(system, handle), size & 0xFFFF_FFFF, kind & 0xFFFF_FFFF
    if isinstance(opened, int):
        return opened
    if kind not in (_POSITION, _SET_END_OF_FILE, _DISPOSITION):
        system.lacks(f"ZwSetInformationFile(class {kind})")
    if size < (1 if kind == _DISPOSITION else 8):
        return STATUS_INFO_LENGTH_MISMATCH
    status = STATUS_SUCCESS
    if kind == _DISPOSITION:
        opened.delete_on_close = bool(system.memory.load(buffer, 1)[0])
    elif kind == _POSITION:
        opened.position = system.memory.u64(buffer)
    elif not opened.access & _WRITE:
        status = STATUS_ACCESS_DENIED
    elif not system.volume.set_size(opened.file, system.memory.u64(buffer)):
        status = STATUS_DISK_FULL
    return _finish(system, iosb, status)
