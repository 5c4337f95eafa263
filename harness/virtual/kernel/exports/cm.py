"""Configuration manager: what drivers do with registry keys.

Callbacks of CmRegisterCallbackEx are asked before and told afterwards. Sources: Microsoft, *ZwOpenKey*,
*ZwCreateKey*, *ZwQueryValueKey*, *ZwSetValueKey*, *ZwEnumerateKey*, *ZwQueryKey* and their relatives (wdm.h),
with their structures.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.traps import Continued
from harness.virtual.kernel.configuration import MAX_DATA, RegistryKey, RegistryValue
from harness.virtual.kernel.exports.handles import attributes_site, report_closed_handle
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.keynotifications import KeyNotify, KeyOperation
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

__all__ = ["close_key"]

_ROOT_DIRECTORY, _OBJECT_NAME, _ATTRIBUTES = 0x08, 0x10, 0x18
"""Offsets in OBJECT_ATTRIBUTES."""
_VERSION_1: Final = 1
"""REG_CREATE_KEY_INFORMATION_V1.Version."""
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
        report_closed_handle(system, handle)
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


def _notified(
    system: System,
    key: RegistryKey,
    notifies: tuple[KeyNotify, KeyNotify],
    fields: bytes,
    perform: Callable[[], int],
) -> int:
    """The NTSTATUS of ``perform``, or of a registered callback.

    :param fields: of the structure that callbacks are handed, between its Object and its CallContext.
    """
    notifications = system.key_notifications
    if not notifications.watched:
        return perform()
    information = struct.pack("<Q", notifications.object_of(key)) + fields
    operation = KeyOperation(*notifies, information, key=key)
    raise Continued(notifications.around(operation, lambda: (perform(), key)))


def _notified_opening(
    system: System,
    notifies: tuple[KeyNotify, KeyNotify],
    asked: tuple[int, int, int],
    root: RegistryKey | None,
    perform: Callable[[], tuple[int, RegistryKey | None]],
) -> int:
    """The same for a key that is opened or created.

    :param asked: DesiredAccess, the OBJECT_ATTRIBUTES, the options.
    """
    notifications = system.key_notifications
    if not notifications.watched:
        return perform()[0]
    (access, attributes, options), memory = asked, system.memory
    above = root or system.configuration.find(None, "\\REGISTRY")
    assert above is not None, "it is always there"
    access &= 0xFFFF_FFFF
    kind = memory.u64(system.symbol("CmKeyObjectType"))
    name, flags = memory.u64(attributes + _OBJECT_NAME), memory.u32(attributes + _ATTRIBUTES)
    information = struct.pack(
        "<QQQI4xQQQIIQQ",
        *(name, notifications.object_of(above), kind, options & 0xFFFF_FFFF, 0, 0, 0, access, 0, 0, 0),
    )
    tail = struct.pack("<QQQQQIIQ", 0, 0, 0, _VERSION_1, name, 0, flags, 0)
    raise Continued(notifications.around(KeyOperation(*notifies, information, tail), perform))


def _open(system: System, result: int, access: int, attributes: int, options: int) -> int:
    system.memory.u64(result)
    named = _named(system, attributes)
    if isinstance(named, int):
        return named
    site = attributes_site(system, attributes)

    def perform() -> tuple[int, RegistryKey | None]:
        key = system.configuration.find(*named)
        if key is None:
            return STATUS_OBJECT_NAME_NOT_FOUND, None
        system.memory.put_u64(result, system.open_handle(key, site))
        return STATUS_SUCCESS, key

    notifies = KeyNotify.PRE_OPEN_KEY, KeyNotify.POST_OPEN_KEY
    return _notified_opening(system, notifies, (access, attributes, options), named[0], perform)


@export("ZwOpenKey", 3)
def zw_open_key(system: System, result: int, access: int, attributes: int) -> int:
    return _open(system, result, access, attributes, 0)


@export("ZwOpenKeyEx", 4)
def zw_open_key_ex(system: System, result: int, access: int, attributes: int, options: int) -> int:
    return _open(system, result, access, attributes, options)


@export("ZwCreateKey", 7)
def zw_create_key(
    system: System,
    result: int,
    access: int,
    attributes: int,
    _title: int,
    _class: int,
    options: int,
    disposition: int,
) -> int:
    """The last key of the name alone is created."""
    system.memory.u64(result)
    named = _named(system, attributes)
    if isinstance(named, int):
        return named
    site, (root, name) = attributes_site(system, attributes), named

    def perform() -> tuple[int, RegistryKey | None]:
        key, how = system.configuration.find(root, name), _OPENED
        if key is None:
            above, _, last = name.rstrip("\\").rpartition("\\")
            parent = root if root is not None and not above else system.configuration.find(root, above)
            if parent is None or not last:
                return STATUS_OBJECT_NAME_NOT_FOUND, None
            key, how = system.configuration.create(parent, last), _CREATED
            if key is None:
                return STATUS_INSUFFICIENT_RESOURCES, None
        system.memory.put_u64(result, system.open_handle(key, site))
        if disposition:
            system.memory.put_u32(disposition, how)
        return STATUS_SUCCESS, key

    notifies = KeyNotify.PRE_CREATE_KEY, KeyNotify.POST_CREATE_KEY
    return _notified_opening(system, notifies, (access, attributes, options), root, perform)


def close_key(system: System, key: RegistryKey, close: Callable[[], int]) -> int:
    """ZwClose of a key's handle."""
    notifies = KeyNotify.PRE_KEY_HANDLE_CLOSE, KeyNotify.POST_KEY_HANDLE_CLOSE
    return _notified(system, key, notifies, b"", close)


@export("ZwDeleteKey", 1)
def zw_delete_key(system: System, handle: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key

    def perform() -> int:
        if key.keys:
            return STATUS_CANNOT_DELETE
        system.configuration.delete(key)
        return STATUS_SUCCESS

    return _notified(system, key, (KeyNotify.PRE_DELETE_KEY, KeyNotify.POST_DELETE_KEY), b"", perform)


@export("ZwFlushKey", 1)
def zw_flush_key(system: System, handle: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    notifies = KeyNotify.PRE_FLUSH_KEY, KeyNotify.POST_FLUSH_KEY
    return _notified(system, key, notifies, b"", lambda: STATUS_SUCCESS)


@export("ZwSetValueKey", 6)
def zw_set_value_key(
    system: System, handle: int, name: int, title: int, kind: int, data: int, size: int
) -> int:
    key, size, kind = _key(system, handle), size & 0xFFFF_FFFF, kind & 0xFFFF_FFFF
    if isinstance(key, int):
        return key
    if size > MAX_DATA:
        return STATUS_INSUFFICIENT_RESOURCES
    content, text = system.memory.load(data, size) if size else b"", read_unicode_string(system, name)

    def perform() -> int:
        system.configuration.set(key, text, kind, content)
        return STATUS_SUCCESS

    fields = struct.pack("<QIIQI4x", name, title & 0xFFFF_FFFF, kind, data, size)
    notifies = KeyNotify.PRE_SET_VALUE_KEY, KeyNotify.POST_SET_VALUE_KEY
    return _notified(system, key, notifies, fields, perform)


@export("ZwDeleteValueKey", 2)
def zw_delete_value_key(system: System, handle: int, name: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    text = read_unicode_string(system, name).lower()

    def perform() -> int:
        found = key.values.pop(text, None)
        return STATUS_OBJECT_NAME_NOT_FOUND if found is None else STATUS_SUCCESS

    notifies = KeyNotify.PRE_DELETE_VALUE_KEY, KeyNotify.POST_DELETE_VALUE_KEY
    return _notified(system, key, notifies, struct.pack("<Q", name), perform)


@export("ZwQueryValueKey", 6)
def zw_query_value_key(
    system: System, handle: int, name: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key
    text = read_unicode_string(system, name).lower()

    def perform() -> int:
        value = key.values.get(text)
        if value is None:
            return STATUS_OBJECT_NAME_NOT_FOUND
        return _give_value(system, "ZwQueryValueKey", value, kind, (buffer, size, needed))

    notifies = KeyNotify.PRE_QUERY_VALUE_KEY, KeyNotify.POST_QUERY_VALUE_KEY
    fields = struct.pack("<Q", name) + _query_fields(kind, buffer, size, needed)
    return _notified(system, key, notifies, fields, perform)


@export("ZwEnumerateValueKey", 6)
def zw_enumerate_value_key(
    system: System, handle: int, index: int, kind: int, buffer: int, size: int, needed: int
) -> int:
    key, index = _key(system, handle), index & 0xFFFF_FFFF
    if isinstance(key, int):
        return key

    def perform() -> int:
        if index >= len(key.values):
            return STATUS_NO_MORE_ENTRIES
        value = list(key.values.values())[index]
        return _give_value(system, "ZwEnumerateValueKey", value, kind, (buffer, size, needed))

    notifies = KeyNotify.PRE_ENUMERATE_VALUE_KEY, KeyNotify.POST_ENUMERATE_VALUE_KEY
    fields = _enumeration_fields(index, kind, buffer, size, needed)
    return _notified(system, key, notifies, fields, perform)


def _query_fields(kind: int, buffer: int, size: int, needed: int) -> bytes:
    return struct.pack("<I4xQI4xQ", kind & 0xFFFF_FFFF, buffer, size & 0xFFFF_FFFF, needed)


def _enumeration_fields(index: int, kind: int, buffer: int, size: int, needed: int) -> bytes:
    return struct.pack("<IIQI4xQ", index, kind & 0xFFFF_FFFF, buffer, size & 0xFFFF_FFFF, needed)


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

    def perform() -> int:
        if index >= len(key.keys):
            return STATUS_NO_MORE_ENTRIES
        if kind & 0xFFFF_FFFF == _KEY_CLASSES[3]:
            return STATUS_INVALID_PARAMETER
        found = list(key.keys.values())[index]
        return _give_key(system, "ZwEnumerateKey", found, kind, (buffer, size, needed))

    notifies = KeyNotify.PRE_ENUMERATE_KEY, KeyNotify.POST_ENUMERATE_KEY
    fields = _enumeration_fields(index, kind, buffer, size, needed)
    return _notified(system, key, notifies, fields, perform)


@export("ZwQueryKey", 5)
def zw_query_key(system: System, handle: int, kind: int, buffer: int, size: int, needed: int) -> int:
    key = _key(system, handle)
    if isinstance(key, int):
        return key

    def perform() -> int:
        return _give_key(system, "ZwQueryKey", key, kind, (buffer, size, needed))

    notifies = KeyNotify.PRE_QUERY_KEY, KeyNotify.POST_QUERY_KEY
    return _notified(system, key, notifies, _query_fields(kind, buffer, size, needed), perform)


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
