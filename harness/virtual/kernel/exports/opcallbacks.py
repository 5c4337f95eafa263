"""Callbacks around operations on handles and keys: ObRegisterCallbacks, CmRegisterCallbackEx.

Sources: Microsoft, *ObRegisterCallbacks*, *OB_CALLBACK_REGISTRATION*, *CmRegisterCallbackEx*,
*CmUnRegisterCallback* (wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.altitudes import altitude_of
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.execution import HANDLE_CALLBACK, KEY_CALLBACK
from harness.virtual.kernel.exports.registration import await_calls, has_forced_integrity, report_registration
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.operationcallbacks import HandleFilter, HandleOperation, KeyFilter
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_INVALID_PARAMETER,
    STATUS_NO_MEMORY,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_FILTER_VERSION: Final = 0x0100
_VERSION_MASK: Final = 0xFF00
_OPERATION_SIZE: Final = 0x20
_OPERATIONS: Final = 0x3
_WATCHED_TYPES: Final = ("PsProcessType", "PsThreadType")
"""Of Windows 10 there are desktops, too."""
_BAD_POOL_CALLER: Final = 0xC2
_NAME_TAG: Final = b"CMNb"
_FIRST_COOKIE: Final = 0x1D4_0000_0000_0000


@export("ObGetFilterVersion", 0)
def ob_get_filter_version(_system: System) -> int:
    return _FILTER_VERSION


@export("ObRegisterCallbacks", 2)
def ob_register_callbacks(system: System, registration: int, result: int) -> int:
    status = _register_handles(system, registration, result)
    report_registration(system, HANDLE_CALLBACK, registration, status)
    return status


def _register_handles(system: System, registration: int, result: int) -> int:
    memory = system.memory
    version, count = memory.u16(registration), memory.u16(registration + 2)
    system.memory.u64(result)
    if version & _VERSION_MASK != _FILTER_VERSION or not count:
        return STATUS_INVALID_PARAMETER
    types = {memory.u64(system.symbol(name)): name for name in _WATCHED_TYPES}
    table, operations = memory.u64(registration + 0x20), list[HandleOperation]()
    for at in range(table, table + count * _OPERATION_SIZE, _OPERATION_SIZE):
        variable, bits = memory.u64(at), memory.u32(at + 8)
        before, after = memory.u64(at + 0x10), memory.u64(at + 0x18)
        kind = types.get(memory.u64(variable)) if variable else None
        if kind is None or not bits or bits & ~_OPERATIONS or not (before or after):
            return STATUS_INVALID_PARAMETER
        if not all(has_forced_integrity(system, routine) for routine in (before, after) if routine):
            return STATUS_ACCESS_DENIED
        operations.append(HandleOperation(kind, bits, before, after))
    handle = system.heap.allocate(0x20)
    altitude = altitude_of(read_unicode_string(system, registration + 8))
    context = memory.u64(registration + 0x18)
    added = HandleFilter(handle, altitude, context, tuple(operations))
    status = system.operation_callbacks.add_handles(added)
    if status == STATUS_SUCCESS:
        system.belongings.take(Belonging.CALLBACK, added.key, system.call_site())
        memory.put_u64(result, handle)
    else:
        system.heap.free(handle)
    return status


@export("ObUnRegisterCallbacks", 1)
def ob_un_register_callbacks(system: System, handle: int) -> int:
    """What is no RegistrationHandle, or no longer one, is freed as pool on Windows: bugcheck 0xC2."""
    handles = system.operation_callbacks.handles
    found = next((known for known in handles if known.handle == handle), None)
    if found is None:
        raise BugcheckRaised(_BAD_POOL_CALLER, 0x46, handle, 0, 0)
    handles.remove(found)
    system.belongings.give_back(Belonging.CALLBACK, found.key)
    system.heap.free(handle)
    return await_calls(system, HANDLE_CALLBACK, set(found.routines()))


@export("CmGetCallbackVersion", 2)
def cm_get_callback_version(system: System, major: int, minor: int) -> None:
    """1.0."""
    for address, value in ((major, 1), (minor, 0)):
        if address:
            system.memory.put_u32(address, value)


def _register_keys(system: System, routine: int, altitude: int, context: int, cookie: int) -> int:
    system.memory.u64(cookie)
    system.cookies += 1
    number = _FIRST_COOKIE + system.cookies
    text = read_unicode_string(system, altitude) if altitude else None
    added = KeyFilter(number, None if text is None else altitude_of(text), routine, context)
    status = system.operation_callbacks.add_keys(added)
    report_registration(system, KEY_CALLBACK, routine, status)
    if status == STATUS_SUCCESS:
        system.belongings.take(Belonging.CALLBACK, added.key, system.call_site())
        system.memory.put_u64(cookie, number)
    return status


@export("CmRegisterCallback", 3)
def cm_register_callback(system: System, routine: int, context: int, cookie: int) -> int:
    return _register_keys(system, routine, 0, context, cookie)


@export("CmRegisterCallbackEx", 6)
def cm_register_callback_ex(
    system: System, routine: int, altitude: int, _driver: int, context: int, cookie: int, reserved: int
) -> int:
    if reserved or not altitude:
        return STATUS_INVALID_PARAMETER
    return _register_keys(system, routine, altitude, context, cookie)


@export("CmUnRegisterCallback", 1)
def cm_un_register_callback(system: System, cookie: int) -> int:
    keys = system.operation_callbacks.keys
    found = next((known for known in keys if known.cookie == cookie), None)
    if found is None:
        return STATUS_INVALID_PARAMETER
    keys.remove(found)
    system.belongings.give_back(Belonging.CALLBACK, found.key)
    return await_calls(system, KEY_CALLBACK, (found.routine,))


def _name_of_key(system: System, cookie: int, item: int, number: int, name: int, *, flags: int) -> int:
    """The key's number and name, each where it is asked for; the name lies in paged pool of its own."""
    known = any(found.cookie == system.memory.u64(cookie) for found in system.operation_callbacks.keys)
    key = system.key_notifications.key_at(item)
    if not known or key is None or flags:
        return STATUS_INVALID_PARAMETER
    if number:
        system.memory.put_u64(number, item)
    if name:
        characters = key.path.encode("utf-16-le", "surrogatepass")
        size = 16 + len(characters) + 2
        block = system.pool.allocate(size, _NAME_TAG, paged=True, site=system.call_site())
        if not block:
            return STATUS_NO_MEMORY
        value = encode_unicode_string(len(characters), len(characters) + 2, block + 16)
        system.memory.store(block, value + characters + b"\0\0")
        system.memory.put_u64(name, block)
    return STATUS_SUCCESS


@export("CmCallbackGetKeyObjectIDEx", 5)
def cm_callback_get_key_object_id_ex(
    system: System, cookie: int, item: int, number: int, name: int, flags: int
) -> int:
    """CmCallbackReleaseKeyObjectIDEx frees the name."""
    return _name_of_key(system, cookie, item, number, name, flags=flags & 0xFFFF_FFFF)


@export("CmCallbackReleaseKeyObjectIDEx", 1)
def cm_callback_release_key_object_id_ex(system: System, name: int) -> None:
    system.pool.free(name, None, system.call_site())


@export("CmCallbackGetKeyObjectID", 4)
def cm_callback_get_key_object_id(system: System, cookie: int, item: int, number: int, name: int) -> int:
    """The name is the key's own, and nobody's to free."""
    key = system.key_notifications.key_at(item)
    status = _name_of_key(system, cookie, item, number, 0, flags=0)
    if name and key is not None and status == STATUS_SUCCESS:
        system.memory.put_u64(name, system.key_notifications.name_of(key))
    return status
