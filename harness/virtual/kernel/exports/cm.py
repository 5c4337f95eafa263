"""Configuration manager: what drivers do with registry keys.

No callback of CmRegisterCallbackEx hears of it. Sources: Microsoft, *ZwOpenKey*, *ZwCreateKey*,
*ZwQueryValueKey*, *ZwSetValueKey*, *ZwEnumerateKey*, *ZwQueryKey* and their relatives (wdm.h), with their
structures.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.kernel.configuration import MAX_DATA, RegistryKey, RegistryValue
from harness.virtual.kernel.exports.handles import attributes_site
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_CANNOT_DELETE,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_KEY_DELETED,
    STATUS_NO_MORE_ENTRIES,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_SYNTAX_BAD,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_ROOT_DIRECTORY, _OBJECT_NAME = 0x08, 0x10
"""Offsets in OBJECT_ATTRIBUTES."""
_CREATED, _OPENED = 1, 2
"""REG_CREATED_NEW_KEY, REG_OPENED_EXISTING_KEY."""
_VALUE_CLASSES: Final = (0, 1, 2)
"""KeyValueBasicInformation, KeyValueFullInformation, KeyValuePartialInformation."""
_VALUE_HEADERS: Final = (12, 20, 12)
_KEY_CLASSES: Final = (0, 1, 2, 3)
"""KeyBasicInformation, KeyNodeInformation, KeyFullInformation, KeyNameInformation."""
_KEY_HEADERS: Final = (16, 24, 44, 4)
_CREATED_AT: Final = 0x01D4_DE00_0000_0000
"""LastWriteTime of every key (FILETIME)."""


def _key(system: System, handle: int) -> RegistryKey | int:
    """The key of a handle, or the NTSTATUS."""
    item = system.handles.get(handle)
    if item is None:
        return STATUS_INVALID_HANDLE
    if not isinstance(item, RegistryKey):
        return STATUS_OBJECT_TYPE_MISMATCH
    return STATUS_KEY_DELETED if item.deleted else item


def _named(system: System, attributes: int) -> tuple[RegistryKey | None, str] | int:
    """What the name of the attributes is relative to, and the name, or the NTSTATUS."""
    memory = system.memory
    directory, name_at = memory.u64(attributes + _ROOT_DIRECTORY), memory.u64(attributes + _OBJECT_NAME)
    name = read_unicode_string(system, name_at) if name_at else ""
    if not directory:
        return (None, name) if name.startswith("\\") else STATUS_OBJECT_PATH_SYNTAX_BAD
    root = _key(system, directory)
    if isinstance(root, int):
        return root
    return STATUS_OBJECT_PATH_SYNTAX_BAD if name.startswith("\\") else (root, name)


@export("ZwOpenKey", 3)
def zw_open_key(system: System, result: int, _access: int, attributes: int) -> int:
    system.memory.u64(result)
    named = _named(system, attributes)
    if isinstance(named, int):
        return named
    key = system.configuration.find(*named)
    if key is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    system.memory.put_u64(result, system.open_handle(key, attributes_site(system, attributes)))
    return STATUS_SUCCESS


@export("ZwOpenKeyEx", 4)
def zw_open_key_ex(system: System, result: int, access: int, attributes: int, _options: int) -> int:
    return zw_open_key(system, result, access, attributes)


@export("ZwCreateKey", 7)
def zw_create_key(
    system: System,
    result: int,
    _access: int,
    attributes: int,
    _title: int,
    _class: int,
    _options: int,
    disposition: int,
) -> int:
    """The last key of the name alone is created."""
    system.memory.u64(result)
    named = _named(system, attributes)
    if isinstance(named, int):
        return named
    root, name = named
    key, how = system.configuration.find(root, name), _OPENED
    if key is None:
        above, _, last = name.rstrip("\\").rpartition("\\")
        parent = root if root is not None and not above else system.configuration.find(root, above)
        if parent is None or not last:
            return STATUS_OBJECT_NAME_NOT_FOUND
        key, how = system.configuration.create(parent, last), _CREATED
        if key is None:
            return STATUS_INSUFFICIENT_RESOURCES
    system.memory.put_u64(result, system.open_handle(key, attributes_site(system, attributes)))
    if disposition:
        system.memory.put_u32(disposition, how)
    return STATUS_SUCCESS


@export("ZwDeleteKey", 1)
def zw_delete_key(system: System, handle: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    if key.keys:
        return STATUS_CANNOT_DELETE
    system.configuration.delete(key)
    return STATUS_SUCCESS


@export("ZwFlushKey", 1)
def zw_flush_key(system: System, handle: int) -> int:
    key = _key(system, handle)
    return key if isinstance(key, int) else STATUS_SUCCESS


@export("ZwSetValueKey", 6)
def zw_set_value_key(
    system: System, handle: int, name: int, _title: int, kind: int, data: int, size: int
) -> int:
    key, size = _key(system, handle), size & 0xFFFF_FFFF
    if isinstance(key, int):
        return key
    if size > MAX_DATA:
        return STATUS_INSUFFICIENT_RESOURCES
    content = system.memory.load(data, size) if size else b""
    system.configuration.set(key, read_unicode_string(system, name), kind & 0xFFFF_FFFF, content)
    return STATUS_SUCCESS


@export("ZwDeleteValueKey", 2)
def zw_delete_value_key(system: System, handle: int, name: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    found = key.values.pop(read_unicode_string(system, name).lower(), None)
    return STATUS_OBJECT_NAME_NOT_FOUND if found is None else STATUS_SUCCESS


@export("ZwQueryValueKey", 6)
def zw_query_value_key(
    system: System, handle: int, name: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    value = key.values.get(read_unicode_string(system, name).lower())
    if value is None:
        return STATUS_OBJECT_NAME_NOT_FOUND
    return _give_value(system, "ZwQueryValueKey", value, kind, (buffer, size, needed))


@export("ZwEnumerateValueKey", 6)
def zw_enumerate_value_key(
    system: System, handle: int, index: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    key, index = _key(system, handle), index & 0xFFFF_FFFF
    if isinstance(key, int):
        return key
    if index >= len(key.values):
        return STATUS_NO_MORE_ENTRIES
    value = list(key.values.values())[index]
    return _give_value(system, "ZwEnumerateValueKey", value, kind, (buffer, size, needed))


def _give_value(
    system: System, export_name: str, value: RegistryValue, kind: int, where: tuple[int, int, int]
) -> int:
    kind &= 0xFFFF_FFFF
    name = value.name.encode("utf-16-le", "surrogatepass")
    if kind not in _VALUE_CLASSES:
        system.lacks(f"{export_name}(class {kind})")
    if kind == 0:
        content = struct.pack("<III", 0, value.kind, len(name)) + name
    elif kind == 1:
        data_at = (20 + len(name) + 7) & ~7
        header = struct.pack("<IIIII", 0, value.kind, data_at, len(value.data), len(name))
        content = (header + name).ljust(data_at, b"\0") + value.data
    else:
        content = struct.pack("<III", 0, value.kind, len(value.data)) + value.data
    return _give(system, content, _VALUE_HEADERS[kind], where)


def _give(system: System, content: bytes, header: int, where: tuple[int, int, int]) -> int:
    """Store what fits, and how much there is; what does not even hold the structure gets nothing."""
    buffer, size, needed = where
    size &= 0xFFFF_FFFF
    system.memory.put_u32(needed, len(content))
    if size < header:
        return STATUS_BUFFER_TOO_SMALL
    system.memory.store(buffer, content[:size])
    return STATUS_SUCCESS if len(content) <= size else STATUS_BUFFER_OVERFLOW


@export("ZwEnumerateKey", 6)
def zw_enumerate_key(
    system: System, handle: int, index: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    key, index = _key(system, handle), index & 0xFFFF_FFFF
    if isinstance(key, int):
        return key
    if index >= len(key.keys):
        return STATUS_NO_MORE_ENTRIES
    if kind & 0xFFFF_FFFF == _KEY_CLASSES[3]:
        return STATUS_INVALID_PARAMETER
    found = list(key.keys.values())[index]
    return _give_key(system, "ZwEnumerateKey", found, kind, (buffer, size, needed))


@export("ZwQueryKey", 5)
def zw_query_key(system: System, handle: int, kind: int, buffer: int, size: int, needed: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    return _give_key(system, "ZwQueryKey", key, kind, (buffer, size, needed))


def _give_key(
    system: System, export_name: str, key: RegistryKey, kind: int, where: tuple[int, int, int]
) -> int:
    kind &= 0xFFFF_FFFF
    name = (key.path if kind == _KEY_CLASSES[3] else key.name).encode("utf-16-le", "surrogatepass")
    if kind not in _KEY_CLASSES:
        system.lacks(f"{export_name}(class {kind})")
    if kind == 0:
        content = struct.pack("<QII", _CREATED_AT, 0, len(name)) + name
    elif kind == 1:
        content = struct.pack("<QIIII", _CREATED_AT, 0, 0xFFFF_FFFF, 0, len(name)) + name
    elif kind == 2:
        longest_key = max((2 * len(found.name) for found in key.keys.values()), default=0)
        longest_name = max((2 * len(value.name) for value in key.values.values()), default=0)
        most_data = max((len(value.data) for value in key.values.values()), default=0)
        content = struct.pack(
            "<QIIIIIIIII",
            *(_CREATED_AT, 0, 0xFFFF_FFFF, 0, len(key.keys), longest_key, 0),
            *(len(key.values), longest_name, most_data),
        )
    else:
        content = struct.pack("<I", len(name)) + name
    return _give(system, content, _KEY_HEADERS[kind], where)
