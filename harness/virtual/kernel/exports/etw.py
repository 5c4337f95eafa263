"""Event Tracing for Windows: providers that register, and events that nobody listens to.

No trace session runs here, so that no provider is ever enabled, no callback of one is called, and an event
that is written is gone, as on a Windows where nobody traces. Sources: Microsoft, *EtwRegister*,
*EtwUnregister*, *EtwWrite*, *EtwEventEnabled*, *EtwActivityIdControl* and their relatives (wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS

__all__: list[str] = []

_GUID: Final = 16
_GET_ID, _SET_ID, _CREATE_ID, _GET_SET_ID, _CREATE_SET_ID = range(1, 6)
"""EVENT_ACTIVITY_CTRL_*."""


@export("EtwRegister", 4)
def etw_register(system: System, provider: int, _callback: int, _context: int, result: int) -> int:
    system.memory.load(provider, _GUID)
    handle = system.heap.allocate(_GUID)
    system.memory.put_u64(result, handle)
    system.providers.add(handle)
    system.belongings.take(Belonging.PROVIDER, handle, system.call_site())
    return STATUS_SUCCESS


@export("EtwUnregister", 1)
def etw_unregister(system: System, handle: int) -> int:
    if handle not in system.providers:
        return STATUS_INVALID_HANDLE
    system.providers.remove(handle)
    system.heap.free(handle)
    system.belongings.give_back(Belonging.PROVIDER, handle)
    return STATUS_SUCCESS


@export("EtwEventEnabled", 2)
def etw_event_enabled(_system: System, _handle: int, _descriptor: int) -> int:
    """Nobody listens."""
    return 0


@export("EtwProviderEnabled", 3)
def etw_provider_enabled(_system: System, _handle: int, _level: int, _keyword: int) -> int:
    """Nobody listens."""
    return 0


def _written(system: System, handle: int) -> int:
    return STATUS_SUCCESS if handle in system.providers else STATUS_INVALID_HANDLE


@export("EtwWrite", 5)
def etw_write(system: System, handle: int, _descriptor: int, _activity: int, _count: int, _data: int) -> int:
    return _written(system, handle)


@export("EtwWriteTransfer", 6)
def etw_write_transfer(
    system: System, handle: int, _descriptor: int, _activity: int, _related: int, _count: int, _data: int
) -> int:
    return _written(system, handle)


@export("EtwWriteString", 5)
def etw_write_string(
    system: System, handle: int, _level: int, _keyword: int, _activity: int, _text: int
) -> int:
    return _written(system, handle)


@export("EtwSetInformation", 4)
def etw_set_information(system: System, handle: int, _kind: int, _information: int, _size: int) -> int:
    return _written(system, handle)


@export("EtwActivityIdControl", 2)
def etw_activity_id_control(system: System, code: int, identifier: int) -> int:
    """Created ones are counted, so that runs repeat; that of a thread is not kept and reads as zeros."""
    code &= 0xFFFF_FFFF
    if code not in range(_GET_ID, _CREATE_SET_ID + 1):
        return STATUS_INVALID_PARAMETER
    if code == _CREATE_ID:
        system.uuids += 1
        system.memory.store(identifier, system.uuids.to_bytes(_GUID, "little"))
    elif code != _SET_ID:
        system.memory.store(identifier, bytes(_GUID))
    return STATUS_SUCCESS
