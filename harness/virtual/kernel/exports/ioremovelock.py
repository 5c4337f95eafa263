"""Remove locks: who is at work with a device, and the wait for the last one.

Sources: Microsoft, *Using Remove Locks*, *IoInitializeRemoveLock*, *IoAcquireRemoveLock*,
*IoReleaseRemoveLock*, *IoReleaseRemoveLockAndWait* (wdm.h), which are macros that hand over the size of
IO_REMOVE_LOCK. What a checked build has behind the common part is for checks of its own, and is left alone.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.apcs import Alertability
from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.kewait import initialize_event, ke_set_event, wait_for
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_DELETE_PENDING, STATUS_SUCCESS

__all__: list[str] = []

_REMOVED, _COUNT, _EVENT = 0x00, 0x04, 0x08
"""Offsets in IO_REMOVE_LOCK."""
_SYNCHRONIZATION_EVENT: Final = 1


def _change(system: System, lock: int, change: int) -> int:
    """Count one more or one fewer; how many there are then."""
    count = system.memory.u32(lock + _COUNT) + change & 0xFFFF_FFFF
    system.memory.put_u32(lock + _COUNT, count)
    return signed(count, 32)


@export("IoInitializeRemoveLockEx", 5)
def io_initialize_remove_lock_ex(
    system: System, lock: int, _tag: int, _minutes: int, _high_watermark: int, _size: int
) -> None:
    system.memory.put_u32(lock + _REMOVED, 0)
    system.memory.put_u32(lock + _COUNT, 1)
    initialize_event(system, lock + _EVENT, _SYNCHRONIZATION_EVENT, 0)


@export("IoAcquireRemoveLockEx", 5)
def io_acquire_remove_lock_ex(
    system: System, lock: int, _tag: int, _file: int, _line: int, _size: int
) -> int:
    _change(system, lock, +1)
    if not system.memory.load(lock + _REMOVED, 1)[0]:
        return STATUS_SUCCESS
    io_release_remove_lock_ex(system, lock, 0, 0)
    return STATUS_DELETE_PENDING


@export("IoReleaseRemoveLockEx", 3)
def io_release_remove_lock_ex(system: System, lock: int, _tag: int, _size: int) -> None:
    if _change(system, lock, -1) == 0:
        ke_set_event(system, lock + _EVENT, 0, 0)


@export("IoReleaseRemoveLockAndWaitEx", 3)
def io_release_remove_lock_and_wait_ex(system: System, lock: int, _tag: int, _size: int) -> int:
    """From then on the lock is taken no more; the caller's own acquisition counts as given back."""
    system.memory.put_u8(lock + _REMOVED, 1)
    _change(system, lock, -1)
    if _change(system, lock, -1) <= 0:
        return STATUS_SUCCESS
    what = f"waits for the last release of the remove lock at 0x{lock:016x}"
    return wait_for(system, (lock + _EVENT,), Alertability(), any_of=True, timeout=0, what=what)
