"""Callbacks around operations: on handles (ObRegisterCallbacks) and on keys (CmRegisterCallbackEx).

What opens handles here are drivers and the guest's helper (its OpenProcess of a step that ends a process or
creates a thread in one); the programs of the model open none that are reported. Keys are
:mod:`harness.virtual.kernel.keynotifications`' part.

Sources: Microsoft, *ObRegisterCallbacks*, *OB_PRE_OPERATION_INFORMATION*, *CmRegisterCallbackEx* (wdm.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.altitudes import Altitude
from harness.virtual.kernel.execution import HANDLE_CALLBACK, KEY_CALLBACK, CallbackKey
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.windows.status import STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, STATUS_SUCCESS

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = [
    "HandleFilter",
    "HandleOpening",
    "HandleOperation",
    "KeyFilter",
    "OperationCallbacks",
    "OperationKey",
]

_HANDLE_CREATE: Final = 1
"""OB_OPERATION_HANDLE_CREATE."""
_PRE_SIZE, _POST_SIZE, _PARAMETERS_SIZE = 0x28, 0x30, 0x20
_CALL_CONTEXT: Final = 0x18


class OperationKey(NamedTuple):
    """What was registered for operations."""

    group: str
    registration: int
    """The RegistrationHandle, or the Cookie."""
    routine: int
    """Address of its first routine."""


class HandleOperation(NamedTuple):
    """One OB_OPERATION_REGISTRATION."""

    kind: str
    """The exported variable of its object type: ``PsProcessType`` or ``PsThreadType``."""
    operations: int
    """OB_OPERATION_HANDLE_CREATE, OB_OPERATION_HANDLE_DUPLICATE."""
    before: int
    """Address of the pre-operation routine, or 0."""
    after: int
    """Address of the post-operation routine, or 0."""


@dataclass(frozen=True)
class HandleFilter:
    """What ObRegisterCallbacks registered."""

    handle: int
    """The RegistrationHandle."""
    altitude: Altitude
    context: int
    operations: tuple[HandleOperation, ...]

    def routines(self) -> Iterator[int]:
        """Addresses of its routines, in the order in which they were given."""
        for operation in self.operations:
            yield from (routine for routine in (operation.before, operation.after) if routine)

    @property
    def key(self) -> OperationKey:
        """What it is known by."""
        return OperationKey(HANDLE_CALLBACK, self.handle, next(self.routines()))


@dataclass(frozen=True)
class KeyFilter:
    """What CmRegisterCallback or CmRegisterCallbackEx registered."""

    cookie: int
    altitude: Altitude | None
    """None: CmRegisterCallback, which has none."""
    routine: int
    context: int

    @property
    def key(self) -> OperationKey:
        """What it is known by."""
        return OperationKey(KEY_CALLBACK, self.cookie, self.routine)


class OperationCallbacks:
    """All that are registered, the highest altitude first."""

    def __init__(self) -> None:
        self.handles: list[HandleFilter] = []
        self.keys: list[KeyFilter] = []

    def add_handles(self, added: HandleFilter) -> int:
        """The NTSTATUS: no two have one altitude."""
        if any(known.altitude == added.altitude for known in self.handles):
            return STATUS_FLT_INSTANCE_ALTITUDE_COLLISION
        self.handles.append(added)
        self.handles.sort(key=lambda known: known.altitude, reverse=True)
        return STATUS_SUCCESS

    def add_keys(self, added: KeyFilter) -> int:
        """The same for keys; those without an altitude come last."""
        if added.altitude is not None and any(known.altitude == added.altitude for known in self.keys):
            return STATUS_FLT_INSTANCE_ALTITUDE_COLLISION
        self.keys.append(added)
        self.keys.sort(key=lambda known: (known.altitude is not None, known.altitude), reverse=True)
        return STATUS_SUCCESS


class HandleOpening:
    """Opens handles to processes and threads, with the callbacks that are registered for it."""

    def __init__(self, system: System) -> None:
        self._system = system

    def is_watched(self, item: ProcessObject | ThreadObject) -> bool:
        """Somebody has registered for handles to it."""
        return bool(self._concerned(item))

    def open(
        self, item: ProcessObject | ThreadObject, access: int, context: ThreadContext, *, kernel: bool
    ) -> Program[int]:
        """The access that is granted, once the callbacks before the opening and those after it have run.

        :param access: what is asked for; a pre-operation routine may take bits of it away, but not of a
            kernel handle.
        """
        system, memory = self._system, self._system.memory
        concerned = self._concerned(item)
        if not concerned:
            return access
        kind = memory.u64(system.symbol(_kind_of(item)))
        block = system.heap.allocate(_PRE_SIZE + _POST_SIZE + _PARAMETERS_SIZE)
        after, parameters = block + _PRE_SIZE, block + _PRE_SIZE + _POST_SIZE
        head = struct.pack("<IIQQ", _HANDLE_CREATE, int(kernel), item.address, kind)
        granted, contexts = access, list[int]()
        for registered, operation in concerned:
            memory.store(block, head + struct.pack("<QQ", 0, parameters))
            memory.store(parameters, struct.pack("<II", granted, access))
            if operation.before:
                yield from self._call(operation.before, (registered.context, block), context)
                granted &= memory.u32(parameters) if not kernel else granted
            contexts.append(memory.u64(block + _CALL_CONTEXT))
        for (registered, operation), call_context in zip(
            reversed(concerned), reversed(contexts), strict=True
        ):
            if operation.after:
                memory.store(after, head + struct.pack("<QI4xQ", call_context, STATUS_SUCCESS, parameters))
                memory.store(parameters, struct.pack("<I", granted))
                yield from self._call(operation.after, (registered.context, after), context)
        system.heap.take_back(block)
        return granted

    def _concerned(self, item: ProcessObject | ThreadObject) -> list[tuple[HandleFilter, HandleOperation]]:
        kind = _kind_of(item)
        return [
            (registered, operation)
            for registered in self._system.operation_callbacks.handles
            for operation in registered.operations
            if operation.kind == kind and operation.operations & _HANDLE_CREATE
        ]

    def _call(self, routine: int, arguments: tuple[int, ...], context: ThreadContext) -> Program[int]:
        return self._system.enter(
            routine,
            arguments,
            context,
            0,
            what="a handle callback",
            callback=CallbackKey(HANDLE_CALLBACK, routine),
        )


def _kind_of(item: ProcessObject | ThreadObject) -> str:
    return "PsProcessType" if isinstance(item, ProcessObject) else "PsThreadType"
