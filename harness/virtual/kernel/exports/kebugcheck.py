"""Callbacks for a bugcheck. They are registered and removed, but not called: the target stops at a bugcheck.

Sources: Microsoft, *KeRegisterBugCheckCallback*, *KeRegisterBugCheckReasonCallback* and their counterparts
(wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_EMPTY, _INSERTED = 0, 1
"""BufferEmpty, BufferInserted."""
_STATE, _REASON_STATE = 0x38, 0x2C
"""Offsets in KBUGCHECK_CALLBACK_RECORD and KBUGCHECK_REASON_CALLBACK_RECORD."""
_ROUTINE: Final = 0x10
"""The same in both."""


def _register(system: System, state: int, record: int, routine: int) -> int:
    if system.memory.load(record + state, 1)[0] != _EMPTY:
        return 0
    system.memory.put_u64(record + _ROUTINE, routine)
    system.memory.put_u8(record + state, _INSERTED)
    system.belongings.take(Belonging.BUGCHECK_CALLBACK, record, system.call_site())
    return 1


def _deregister(system: System, state: int, record: int) -> int:
    if system.memory.load(record + state, 1)[0] != _INSERTED:
        return 0
    system.memory.put_u8(record + state, _EMPTY)
    system.belongings.give_back(Belonging.BUGCHECK_CALLBACK, record)
    return 1


@export("KeRegisterBugCheckCallback", 5)
def ke_register_bug_check_callback(
    system: System, record: int, routine: int, buffer: int, size: int, component: int
) -> int:
    if not _register(system, _STATE, record, routine):
        return 0
    system.memory.put_u64(record + 0x18, buffer)
    system.memory.put_u32(record + 0x20, size & 0xFFFF_FFFF)
    system.memory.put_u64(record + 0x28, component)
    return 1


@export("KeDeregisterBugCheckCallback", 1)
def ke_deregister_bug_check_callback(system: System, record: int) -> int:
    return _deregister(system, _STATE, record)


@export("KeRegisterBugCheckReasonCallback", 4)
def ke_register_bug_check_reason_callback(
    system: System, record: int, routine: int, reason: int, component: int
) -> int:
    if not _register(system, _REASON_STATE, record, routine):
        return 0
    system.memory.put_u64(record + 0x18, component)
    system.memory.put_u32(record + 0x28, reason & 0xFFFF_FFFF)
    return 1


@export("KeDeregisterBugCheckReasonCallback", 1)
def ke_deregister_bug_check_reason_callback(system: System, record: int) -> int:
    return _deregister(system, _REASON_STATE, record)
