"""Reader-writer spin locks (EX_SPIN_LOCK). A processor that spins stands still until the lock is free.

Sources: Microsoft, *ExAcquireSpinLockExclusive*, *ExAcquireSpinLockShared*,
*ExTryConvertSharedSpinLockExclusive* and their relatives (wdm.h), *Reader-Writer Spin Locks*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.virtual.kernel.exports.irql import lower_to, raise_to
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import DISPATCH_LEVEL

__all__: list[str] = []

_EXCLUSIVE: Final = 0x8000_0000
"""Bit of the lock; without it the lock counts those that share it."""


def _acquire(system: System, lock: int, then: Callable[[], int], *, exclusive: bool) -> int:
    """Spin until the lock can be taken, take it, and do ``then``: the export's result."""
    execution, place = system.current, system.caller()

    def take() -> int | None:
        value = system.memory.u32(lock)
        if value and (exclusive or value & _EXCLUSIVE):
            return None
        system.memory.put_u32(lock, _EXCLUSIVE if exclusive else value + 1)
        system.locks.taken(lock, execution, place)
        return then()

    kind = "exclusively" if exclusive else "shared"
    what = f"spins on the reader-writer spin lock at 0x{lock:016x} {kind}"
    if exclusive or system.memory.u32(lock) & _EXCLUSIVE:
        system.locks.demand_another(lock, execution, what)
    system.locks.wants(lock, execution, place)
    return system.waits.until(take, (lock,), what, holders=lambda: system.locks.holders(lock))


def _release(system: System, lock: int, *, exclusive: bool) -> None:
    value = 0 if exclusive else max(system.memory.u32(lock) - 1, 0)
    system.memory.put_u32(lock, value)
    system.locks.given_back(lock, system.current)
    system.waits.signalled(lock)


def _raise_and_acquire(system: System, lock: int, *, exclusive: bool) -> int:
    old = raise_to(system, DISPATCH_LEVEL)
    return _acquire(system, lock, lambda: old, exclusive=exclusive)


@export("ExAcquireSpinLockExclusive", 1)
def ex_acquire_spin_lock_exclusive(system: System, lock: int) -> int:
    return _raise_and_acquire(system, lock, exclusive=True)


@export("ExAcquireSpinLockShared", 1)
def ex_acquire_spin_lock_shared(system: System, lock: int) -> int:
    return _raise_and_acquire(system, lock, exclusive=False)


@export("ExReleaseSpinLockExclusive", 2)
def ex_release_spin_lock_exclusive(system: System, lock: int, irql: int) -> int:
    _release(system, lock, exclusive=True)
    return lower_to(system, irql)


@export("ExReleaseSpinLockShared", 2)
def ex_release_spin_lock_shared(system: System, lock: int, irql: int) -> int:
    _release(system, lock, exclusive=False)
    return lower_to(system, irql)


@export("ExAcquireSpinLockExclusiveAtDpcLevel", 1)
def ex_acquire_spin_lock_exclusive_at_dpc_level(system: System, lock: int) -> int:
    return _acquire(system, lock, lambda: 0, exclusive=True)


@export("ExAcquireSpinLockSharedAtDpcLevel", 1)
def ex_acquire_spin_lock_shared_at_dpc_level(system: System, lock: int) -> int:
    return _acquire(system, lock, lambda: 0, exclusive=False)


@export("ExReleaseSpinLockExclusiveFromDpcLevel", 1)
def ex_release_spin_lock_exclusive_from_dpc_level(system: System, lock: int) -> None:
    _release(system, lock, exclusive=True)


@export("ExReleaseSpinLockSharedFromDpcLevel", 1)
def ex_release_spin_lock_shared_from_dpc_level(system: System, lock: int) -> None:
    _release(system, lock, exclusive=False)


@export("ExTryConvertSharedSpinLockExclusive", 1)
def ex_try_convert_shared_spin_lock_exclusive(system: System, lock: int) -> int:
    """TRUE where the caller was the only one that shared it."""
    if system.memory.u32(lock) != 1:
        return 0
    system.memory.put_u32(lock, _EXCLUSIVE)
    return 1
