"""Notifications of key operations to what CmRegisterCallbackEx registered.

A routine is asked before an operation, the highest altitude first, and told of it afterwards, the lowest
first. One that answers with an error ends the operation with that status, and with STATUS_CALLBACK_BYPASS
with success, without the routines below it and without the operation; those above are told of the end.
Afterwards STATUS_CALLBACK_BYPASS makes the caller see the routine's ReturnStatus.

Sources: Microsoft, *EX_CALLBACK_FUNCTION*, *REG_NOTIFY_CLASS*, *REG_POST_OPERATION_INFORMATION*,
*REG_CREATE_KEY_INFORMATION_V1* (wdm.h), *Filtering Registry Calls*, *Handling Notifications*.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.configuration import RegistryKey
from harness.virtual.kernel.execution import KEY_CALLBACK, CallbackKey
from harness.virtual.kernel.operationcallbacks import KeyFilter
from harness.virtual.windows.status import STATUS_CALLBACK_BYPASS, STATUS_SUCCESS, failed

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["KeyNotifications", "KeyNotify", "KeyOperation"]

_KEY_OBJECT_SIZE: Final = 0x40
_KEY_BODY_TYPE: Final = 0x6B79_3032
"""CM_KEY_BODY.Type, "ky02"."""
_POST: Final = struct.Struct("<QI4xQI4xQQQ")
_RETURN_STATUS: Final = 0x18
"""REG_POST_OPERATION_INFORMATION, and its ReturnStatus."""
_TAIL: Final = bytes(0x18)
"""CallContext, ObjectContext, Reserved: what every structure ends with, but that of an opening."""


class KeyNotify(IntEnum):
    """REG_NOTIFY_CLASS of what is done here: before it, and afterwards."""

    PRE_DELETE_KEY = 0
    PRE_SET_VALUE_KEY = 1
    PRE_DELETE_VALUE_KEY = 2
    PRE_ENUMERATE_KEY = 5
    PRE_ENUMERATE_VALUE_KEY = 6
    PRE_QUERY_KEY = 7
    PRE_QUERY_VALUE_KEY = 8
    PRE_KEY_HANDLE_CLOSE = 14
    POST_DELETE_KEY = 15
    POST_SET_VALUE_KEY = 16
    POST_DELETE_VALUE_KEY = 17
    POST_ENUMERATE_KEY = 20
    POST_ENUMERATE_VALUE_KEY = 21
    POST_QUERY_KEY = 22
    POST_QUERY_VALUE_KEY = 23
    POST_KEY_HANDLE_CLOSE = 25
    PRE_CREATE_KEY = 26
    POST_CREATE_KEY = 27
    PRE_OPEN_KEY = 28
    POST_OPEN_KEY = 29
    PRE_FLUSH_KEY = 30
    POST_FLUSH_KEY = 31


class KeyOperation(NamedTuple):
    """What routines are told of one operation."""

    before: KeyNotify
    after: KeyNotify
    information: bytes
    """The structure, up to its CallContext."""
    tail: bytes = _TAIL
    """From its CallContext on."""
    key: RegistryKey | None = None
    """None: it is being opened."""


class KeyNotifications:
    """Tells the registered routines of what is done to keys."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._objects: dict[RegistryKey, int] = {}
        self._keys: dict[int, RegistryKey] = {}
        self._names: dict[RegistryKey, int] = {}

    @property
    def watched(self) -> bool:
        """A routine is registered."""
        return bool(self._system.operation_callbacks.keys)

    def object_of(self, key: RegistryKey) -> int:
        """Address of the key's object, as routines see it."""
        address = self._objects.get(key)
        if address is None:
            address = self._objects[key] = self._system.heap.allocate(_KEY_OBJECT_SIZE)
            self._system.memory.put_u32(address, _KEY_BODY_TYPE)
            self._system.other_objects.add(address)
            self._keys[address] = key
        return address

    def key_at(self, address: int) -> RegistryKey | None:
        """The key whose object lies there."""
        return self._keys.get(address)

    def name_of(self, key: RegistryKey) -> int:
        """Address of the key's full name, a UNICODE_STRING that stays."""
        if key not in self._names:
            self._names[key] = self._system.heap.unicode_string(key.path)
        return self._names[key]

    def around(
        self, operation: KeyOperation, perform: Callable[[], tuple[int, RegistryKey | None]]
    ) -> Program[int]:
        """The NTSTATUS for the caller, once the routines have been asked and told.

        :param perform: does it; its NTSTATUS, and the key that was opened.
        """
        system = self._system
        assert system.current is not None
        memory, size = system.memory, len(operation.information)
        service = system.service, system.service_rsp
        block = system.heap.allocate(size + len(operation.tail) + _POST.size)
        post, call_context = block + size + len(operation.tail), block + size
        asked, status, opened = list[tuple[KeyFilter, int]](), STATUS_SUCCESS, operation.key
        for registered in tuple(system.operation_callbacks.keys):
            memory.store(block, operation.information + operation.tail)
            status = yield from self._call(registered, operation.before, block)
            if failed(status):
                break
            asked.append((registered, memory.u64(call_context)))
        else:
            # The routines have called the kernel themselves, and what is done now asks who called.
            system.service, system.service_rsp = service
            status, opened = perform()
        if status == STATUS_CALLBACK_BYPASS:
            if operation.key is None:
                system.lacks("STATUS_CALLBACK_BYPASS of a key that is opened")
            status = STATUS_SUCCESS
        item = 0 if opened is None else self.object_of(opened)
        for registered, context in reversed(asked):
            if registered in system.operation_callbacks.keys:
                memory.store(post, _POST.pack(item, status, block, status, context, 0, 0))
                answer = yield from self._call(registered, operation.after, post)
                if answer == STATUS_CALLBACK_BYPASS:
                    status = memory.u32(post + _RETURN_STATUS)
        system.heap.take_back(block)
        return status

    def _call(self, registered: KeyFilter, notify: KeyNotify, information: int) -> Program[int]:
        system = self._system
        assert system.current is not None
        arguments = (registered.context, int(notify), information)
        status = yield from system.enter(
            registered.routine,
            arguments,
            system.current.context,
            0,
            what="a registry callback",
            callback=CallbackKey(KEY_CALLBACK, registered.routine),
        )
        return status & 0xFFFF_FFFF
