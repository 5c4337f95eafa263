"""Spin locks. A processor that spins stands still until the lock is free.

Sources: Microsoft, wdm.h pages of each routine; structures of build 18362.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.virtual.kernel.exports.irql import lower_to, raise_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import DISPATCH_LEVEL

__all__: list[str] = []

_QUEUE_LOCK, _QUEUE_OLD_IRQL = 0x08, 0x10


def _acquire(system: System, lock: int, then: Callable[[], int] = lambda: 0) -> int:
    """Spin until the lock is free, take it, and do ``then``: the export's result."""
    execution, place = system.current, system.caller()

    def take() -> int | None:
        if system.memory.u64(lock):
            return None
        system.memory.put_u64(lock, 1)
        system.locks.taken(lock, execution, place)
        return then()

    what = f"spins on the spin lock at 0x{lock:016x}"
    system.locks.demand_another(lock, execution, what)
    system.locks.wants(lock, execution, place)
    return system.waits.until(take, (lock,), what, holders=lambda: system.locks.holders(lock))


def _release(system: System, lock: int) -> None:
    system.memory.put_u64(lock, 0)
    system.locks.given_back(lock, system.current)
    system.waits.signalled(lock)


@export("KeInitializeSpinLock", 1)
def ke_initialize_spin_lock(system: System, lock: int) -> None:
    system.memory.put_u64(lock, 0)
    system.locks.forget(lock)


@export("KeAcquireSpinLockRaiseToDpc", "KeAcquireSpinLockRaiseToSynch", 1)
def ke_acquire_spin_lock_raise_to_dpc(system: System, lock: int) -> int:
    old = raise_to(system, DISPATCH_LEVEL)
    return _acquire(system, lock, lambda: old)


@export("KeAcquireSpinLock", 2)
def ke_acquire_spin_lock(system: System, lock: int, result: int) -> int:
    old = raise_to(system, DISPATCH_LEVEL)

    def store() -> int:
        system.memory.put_u8(result, old)
        return old

    return _acquire(system, lock, store)


@export("KeReleaseSpinLock", 2)
def ke_release_spin_lock(system: System, lock: int, irql: int) -> int:
    _release(system, lock)
    return lower_to(system, irql)


@export("KeAcquireSpinLockAtDpcLevel", 1)
def ke_acquire_spin_lock_at_dpc_level(system: System, lock: int) -> int:
    return _acquire(system, lock)


@export("KeReleaseSpinLockFromDpcLevel", 1)
def ke_release_spin_lock_from_dpc_level(system: System, lock: int) -> None:
    _release(system, lock)


@export("KeTryToAcquireSpinLockAtDpcLevel", 1)
def ke_try_to_acquire_spin_lock_at_dpc_level(system: System, lock: int) -> int:
    if system.memory.u64(lock):
        return 0
    system.memory.put_u64(lock, 1)
    system.locks.taken(lock, system.current, system.caller())
    return 1


@export("KeTestSpinLock", 1)
def ke_test_spin_lock(system: System, lock: int) -> int:
    return int(system.memory.u64(lock) == 0)


@export("KeAcquireInStackQueuedSpinLock", 2)
def ke_acquire_in_stack_queued_spin_lock(system: System, lock: int, handle: int) -> int:
    old = raise_to(system, DISPATCH_LEVEL)
    system.memory.put_u8(handle + _QUEUE_OLD_IRQL, old)
    return ke_acquire_in_stack_queued_spin_lock_at_dpc_level(system, lock, handle)


@export("KeAcquireInStackQueuedSpinLockAtDpcLevel", 2)
def ke_acquire_in_stack_queued_spin_lock_at_dpc_level(system: System, lock: int, handle: int) -> int:
    system.memory.put_u64(handle, 0)
    system.memory.put_u64(handle + _QUEUE_LOCK, lock)
    return _acquire(system, lock)


@export("KeReleaseInStackQueuedSpinLock", 1)
def ke_release_in_stack_queued_spin_lock(system: System, handle: int) -> int:
    ke_release_in_stack_queued_spin_lock_from_dpc_level(system, handle)
    return lower_to(system, system.memory.load(handle + _QUEUE_OLD_IRQL, 1)[0])


@export("KeReleaseInStackQueuedSpinLockFromDpcLevel", 1)
def ke_release_in_stack_queued_spin_lock_from_dpc_level(system: System, handle: int) -> None:
    _release(system, system.memory.u64(handle + _QUEUE_LOCK))
