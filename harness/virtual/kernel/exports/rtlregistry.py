"""Registry values by table: the run-time library's way to the configuration manager.

Each routine opens the key, does its work by the Zw routines, so that callbacks of CmRegisterCallbackEx hear
of it, and closes the key. Sources: Microsoft, *RtlQueryRegistryValues*, *RtlWriteRegistryValue*,
*RtlCheckRegistryKey*, *RtlCreateRegistryKey*, *RtlDeleteRegistryValue* (wdm.h). Environment variables are not
expanded: a value that holds some ends the run, unless RTL_QUERY_REGISTRY_NOEXPAND asks for it as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.configuration import MAX_DATA, RegistryKey
from harness.virtual.kernel.exports.cm import (
    zw_create_key,
    zw_delete_value_key,
    zw_enumerate_value_key,
    zw_open_key,
    zw_query_value_key,
    zw_set_value_key,
)
from harness.virtual.kernel.exports.psthreads import zw_close
from harness.virtual.kernel.exports.querytable import (
    ENTRY_SIZE,
    MAX_ENTRIES,
    MAX_NAME,
    MAX_VALUES,
    MULTI_SZ,
    NONE,
    SZ,
    Flag,
    QueryEntry,
    RegistryData,
    default_of,
    demand_expanded,
    read_entry,
    store_directly,
    strings_of,
)
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.heap import MAX_NAME as MAX_COUNTED
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER,
    STATUS_NO_MORE_ENTRIES,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
    failed,
)

__all__: list[str] = []

_ROOTS: Final = (
    "",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Services",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control",
    "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion",
    "\\Registry\\Machine\\Hardware\\DeviceMap",
    "\\Registry\\User\\.Default",
)
"""By RTL_REGISTRY_ABSOLUTE and its like."""
_HANDLE, _OPTIONAL = 0x4000_0000, 0x8000_0000
_OBJ_FLAGS: Final = 0x240
"""OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE."""
_ALL_ACCESS: Final = 0xF003F
_FULL_INFORMATION: Final = 1
_ROOM: Final = 0x100
"""For a value at first; one that does not fit is asked for again."""
_MAX_ROOM: Final = MAX_DATA + 0x1_0000
_MAX_TRIES: Final = 4
"""Once for the size, once for the value: more only where it changes meanwhile."""
_TRUSTED: Final = "\\registry\\machine\\"
_KERNEL_SECURITY_CHECK_FAILURE: Final = 0x139
_UNSAFE_REGISTRY_ACCESS: Final = 26
"""FAST_FAIL_UNSAFE_REGISTRY_ACCESS."""


class _Call:
    """One call of the run-time library, with the memory that lives as long as it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.site: CallSite | None = system.call_site()
        self._caller = system.exceptions.caller()
        self._served = system.service, system.service_rsp
        self._scratch: list[int] = []

    def zw(self, handler: Callable[..., int], *arguments: int) -> Program[int]:
        """The result of another export, as if the driver had called it here; also where it goes on later."""
        system = self.system
        system.service, system.service_rsp = self._served  # what runs meanwhile is served, too
        try:
            return handler(system, *arguments)
        except Continued as rest:
            return (yield from rest.program)

    def put(self, data: bytes) -> int:
        """Address of a copy that lives as long as the call."""
        self._scratch.append(self.system.heap.put(data))
        return self._scratch[-1]

    def string(self, text: bytes) -> int:
        """Address of a UNICODE_STRING with these characters, as many as fit."""
        text = text[:MAX_COUNTED]
        return self.put(self.system.heap.string_value(text, self.put(text + b"\0\0")))

    def call_back(self, routine: int, arguments: tuple[int, ...]) -> Program[int]:
        """Call a routine of the driver's; RAX."""
        return self.system.exceptions.call_back(self._caller, routine, arguments)

    @property
    def used(self) -> int:
        """How many copies there are."""
        return len(self._scratch)

    def free(self, keep: int = 0) -> None:
        """Free all copies but the first ``keep``."""
        for address in self._scratch[keep:]:
            self.system.heap.free(address)
        del self._scratch[keep:]

    def open(self, root: int, name: bytes, *, create: bool = False) -> Program[tuple[int, int]]:
        """A key by its name, relative to that of the handle ``root`` unless it is 0: NTSTATUS and handle."""
        result = self.put(bytes(8))
        attributes = self.put(struct.pack("<QQQQQQ", 0x30, root, self.string(name), _OBJ_FLAGS, 0, 0))
        if create:
            status = yield from self.zw(zw_create_key, result, _ALL_ACCESS, attributes, 0, 0, 0, 0)
        else:
            status = yield from self.zw(zw_open_key, result, _ALL_ACCESS, attributes)
        return status, 0 if failed(status) else self.system.memory.u64(result)

    def value(
        self, handler: Callable[..., int], handle: int, which: int
    ) -> Program[tuple[int, RegistryData | None]]:
        """What ZwQueryValueKey or ZwEnumerateValueKey answers: NTSTATUS and value.

        :param which: the name's UNICODE_STRING, or the index.
        """
        memory, size, needed = self.system.memory, _ROOM, self.put(bytes(8))
        for _ in range(_MAX_TRIES):
            buffer = self.put(bytes(size))
            status = yield from self.zw(handler, handle, which, _FULL_INFORMATION, buffer, size, needed)
            if status not in (STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL):
                break
            size = min(memory.u32(needed), _MAX_ROOM)
        if failed(status):
            return status, None
        _, kind, data_at, length, name_length = struct.unpack("<IIIII", memory.load(buffer, 20))
        if data_at + length > size or 20 + name_length > size:  # a callback answered in its place
            return STATUS_INVALID_PARAMETER, None
        data, name = memory.load(buffer + data_at, length), memory.load(buffer + 20, name_length)
        return status, RegistryData(name, kind, data)


def _characters(system: System, text: int) -> bytes:
    """Of a NUL-terminated wide string; none at NULL."""
    return system.memory.wide_string(text, MAX_NAME) if text else b""


def _open_key(call: _Call, relative: int, path: int, *, create: bool = False) -> Program[tuple[int, int]]:
    """The key of RelativeTo and Path: NTSTATUS and handle."""
    if relative & _HANDLE:
        return STATUS_SUCCESS, path
    number = relative & ~_OPTIONAL & 0xFFFF_FFFF
    if number >= len(_ROOTS) or not (number or path):
        return STATUS_INVALID_PARAMETER, 0
    root, below = _ROOTS[number].encode("utf-16-le"), _characters(call.system, path)
    name = root + "\\".encode("utf-16-le") + below if root and below else root or below
    return (yield from call.open(0, name, create=create))


def _with_key(
    system: System,
    relative: int,
    path: int,
    work: Callable[[_Call, int], Program[int]],
    *,
    create: bool = False,
) -> int:
    """Open the key, do ``work`` with its handle, and close it, unless it is the caller's own."""

    def program() -> Program[int]:
        call = _Call(system)
        try:
            status, handle = yield from _open_key(call, relative, path, create=create)
            if failed(status):
                return status
            status = yield from work(call, handle)
            if not relative & _HANDLE:
                yield from call.zw(zw_close, handle)
            return status
        finally:
            call.free()

    raise Continued(program())


def _nothing(_call: _Call, _handle: int) -> Program[int]:
    yield from ()
    return STATUS_SUCCESS


@export("RtlCheckRegistryKey", 2)
def rtl_check_registry_key(system: System, relative: int, path: int) -> int:
    return _with_key(system, relative, path, _nothing)


@export("RtlCreateRegistryKey", 2)
def rtl_create_registry_key(system: System, relative: int, path: int) -> int:
    return _with_key(system, relative, path, _nothing, create=True)


@export("RtlWriteRegistryValue", 6)
def rtl_write_registry_value(
    system: System, relative: int, path: int, name: int, kind: int, data: int, size: int
) -> int:
    """The key is made if it is not there."""

    def write(call: _Call, handle: int) -> Program[int]:
        named = call.string(_characters(system, name))
        return (yield from call.zw(zw_set_value_key, handle, named, 0, kind, data, size))

    return _with_key(system, relative, path, write, create=True)


@export("RtlDeleteRegistryValue", 3)
def rtl_delete_registry_value(system: System, relative: int, path: int, name: int) -> int:
    def delete(call: _Call, handle: int) -> Program[int]:
        named = call.string(_characters(system, name))
        return (yield from call.zw(zw_delete_value_key, handle, named))

    return _with_key(system, relative, path, delete)


@export("RtlQueryRegistryValues", 5)
def rtl_query_registry_values(
    system: System, relative: int, path: int, table: int, context: int, _environment: int
) -> int:
    def query(call: _Call, handle: int) -> Program[int]:
        return (yield from _Query(call, handle, context).run(table))

    return _with_key(system, relative, path, query)


class _Query:
    """RtlQueryRegistryValues at work.

    :param top: handle of the key of RelativeTo and Path.
    """

    def __init__(self, call: _Call, top: int, context: int) -> None:
        self._call = call
        self._system = call.system
        self._top = self._key = top
        self._context = context

    def run(self, table: int) -> Program[int]:
        """Go through the table; the NTSTATUS."""
        status = STATUS_SUCCESS
        for index in range(MAX_ENTRIES):
            entry = read_entry(self._system.memory, table + index * ENTRY_SIZE)
            if entry.ends or failed(status):
                break
            used = self._call.used
            status = yield from self._entry(entry)
            self._call.free(used)
        else:
            self._system.lacks(f"RtlQueryRegistryValues(more than {MAX_ENTRIES} entries)")
        yield from self._leave_subkey()
        return status

    def _leave_subkey(self) -> Program[None]:
        if self._key != self._top:
            key, self._key = self._key, self._top
            yield from self._call.zw(zw_close, key)

    def _entry(self, entry: QueryEntry) -> Program[int]:
        flags = entry.flags
        if flags & Flag.DIRECT and (entry.routine or not entry.name or flags & Flag.SUBKEY):
            return STATUS_INVALID_PARAMETER
        if flags & (Flag.TOPKEY | Flag.SUBKEY):
            yield from self._leave_subkey()
        if flags & Flag.SUBKEY:
            if not entry.name:
                return STATUS_INVALID_PARAMETER
            name = _characters(self._system, entry.name)
            status, handle = yield from self._call.open(self._top, name)
            if failed(status):
                return status
            self._key = handle
            return (yield from self._all_values(entry)) if entry.routine else STATUS_SUCCESS
        if entry.name:
            return (yield from self._named_value(entry))
        if flags & Flag.NOVALUE:
            return (yield from self._tell(entry, 0, NONE, 0, 0))
        return (yield from self._all_values(entry))

    def _named_value(self, entry: QueryEntry) -> Program[int]:
        name = self._call.string(_characters(self._system, entry.name))
        status, found = yield from self._call.value(zw_query_value_key, self._key, name)
        if found is None and status != STATUS_OBJECT_NAME_NOT_FOUND:
            return status
        status = yield from self._give(entry, found)
        if found is not None and entry.flags & Flag.DELETE and not failed(status):
            yield from self._call.zw(zw_delete_value_key, self._key, name)
        return status

    def _all_values(self, entry: QueryEntry) -> Program[int]:
        index, given = 0, 0
        while given < MAX_VALUES:
            used = self._call.used
            status, found = yield from self._call.value(zw_enumerate_value_key, self._key, index)
            if status == STATUS_NO_MORE_ENTRIES:
                none = not given and entry.flags & Flag.REQUIRED
                return STATUS_OBJECT_NAME_NOT_FOUND if none else STATUS_SUCCESS
            if found is None:
                return status
            status = yield from self._give(entry, found)
            if failed(status):
                return status
            given += 1
            if entry.flags & Flag.DELETE:
                yield from self._call.zw(zw_delete_value_key, self._key, self._call.string(found.name))
            else:
                index += 1
            self._call.free(used)
        self._system.lacks(f"RtlQueryRegistryValues(more than {MAX_VALUES} values)")

    def _give(self, entry: QueryEntry, found: RegistryData | None) -> Program[int]:
        """Hand over the value, or in place of none the default one."""
        system = self._system
        if found is None:
            found = default_of(system.memory, entry)
            if found is None:
                required = entry.flags & Flag.REQUIRED
                return STATUS_OBJECT_NAME_NOT_FOUND if required else STATUS_SUCCESS
        elif entry.flags & Flag.TYPECHECK and entry.wanted_kind not in (NONE, found.kind):
            return STATUS_OBJECT_TYPE_MISMATCH
        if not entry.flags & Flag.NOEXPAND:
            if found.kind == MULTI_SZ:
                return (yield from self._give_strings(entry, found))
            demand_expanded(system, found)
        if entry.flags & Flag.DIRECT:
            self._demand_safe(entry)
            return store_directly(system, entry.context, found, self._call.site)
        return (yield from self._tell_of(entry, found))

    def _give_strings(self, entry: QueryEntry, found: RegistryData) -> Program[int]:
        for number, text in enumerate(strings_of(found.data)):
            one = RegistryData(found.name, SZ, text)
            if entry.flags & Flag.DIRECT:
                self._demand_safe(entry)
                status = store_directly(self._system, entry.context + 16 * number, one, self._call.site)
            else:
                status = yield from self._tell_of(entry, one)
            if failed(status):
                return status
        return STATUS_SUCCESS

    def _demand_safe(self, entry: QueryEntry) -> None:
        """:raises BugcheckRaised: without a check of types, in a hive that everybody can write to."""
        key = self._system.handles.get(self._key)
        trusted = isinstance(key, RegistryKey) and key.path.lower().startswith(_TRUSTED)
        if not entry.flags & Flag.TYPECHECK and not trusted:
            raise BugcheckRaised(_KERNEL_SECURITY_CHECK_FAILURE, _UNSAFE_REGISTRY_ACCESS)

    def _tell_of(self, entry: QueryEntry, found: RegistryData) -> Program[int]:
        name, data = self._call.put(found.name + b"\0\0"), self._call.put(found.data)
        return (yield from self._tell(entry, name, found.kind, data, len(found.data)))

    def _tell(self, entry: QueryEntry, name: int, kind: int, data: int, size: int) -> Program[int]:
        """Call the QueryRoutine; its NTSTATUS, but for the one that does not count."""
        arguments = (name, kind, data, size, self._context, entry.context)
        result = yield from self._call.call_back(entry.routine, arguments)
        status = result & 0xFFFF_FFFF
        return STATUS_SUCCESS if status == STATUS_BUFFER_TOO_SMALL else status
