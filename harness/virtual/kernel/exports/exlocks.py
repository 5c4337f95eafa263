"""Locks of the executive: fast and guarded mutexes, ERESOURCE, push locks, rundown protection.

Sources: Microsoft, wdm.h and ntifs.h pages of each routine; structures of build 18362; the violations of
Driver Verifier in *Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION*.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.exports.irql import lower_to, raise_to, signed, with_due_interrupts
from harness.virtual.kernel.exports.kewait import SYNCHRONIZATION_EVENT, initialize_event
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import APC_LEVEL

__all__: list[str] = []

_FAST_OWNER, _FAST_EVENT, _FAST_OLD_IRQL = 0x08, 0x18, 0x30
_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_FAST_MUTEX_ABOVE_APC_LEVEL: Final = 0x33


def _check_irql(system: System, mutex: int) -> None:
    if system.cpu.irql > APC_LEVEL:
        raise BugcheckRaised(
            _DRIVER_VERIFIER_DETECTED_VIOLATION, _FAST_MUTEX_ABOVE_APC_LEVEL, system.cpu.irql, mutex
        )


def _take_fast(system: System, mutex: int, *, wait: bool, old_irql: int | None = None) -> int:
    """Take a fast or guarded mutex: 1, or 0 where it is held and ``wait`` is False."""
    execution, thread, place = system.current, system.current_thread(), system.caller()

    def take() -> int | None:
        memory = system.memory
        if signed(memory.u32(mutex), 32) <= 0:
            return None
        memory.put_u32(mutex, 0)
        memory.put_u64(mutex + _FAST_OWNER, thread)
        if old_irql is not None:
            memory.put_u8(mutex + _FAST_OLD_IRQL, old_irql)
        system.locks.taken(mutex, execution, place)
        return 1

    if not wait:
        return take() or 0
    what = f"waits for the mutex at 0x{mutex:016x}"
    system.locks.demand_another(mutex, execution, what)
    system.locks.wants(mutex, execution, place)
    return system.waits.until(take, (mutex,), what, holders=lambda: system.locks.holders(mutex))


def _give_back_fast(system: System, mutex: int) -> None:
    system.memory.put_u64(mutex + _FAST_OWNER, 0)
    system.memory.put_u32(mutex, 1)
    system.locks.given_back(mutex, system.current)
    system.waits.signalled(mutex)


@export("ExInitializeFastMutex", "KeInitializeGuardedMutex", 1)
def ex_initialize_fast_mutex(system: System, mutex: int) -> None:
    system.memory.store(mutex, (1).to_bytes(0x18, "little"))
    initialize_event(system, mutex + _FAST_EVENT, SYNCHRONIZATION_EVENT, 0)
    system.locks.forget(mutex)


@export("ExAcquireFastMutexUnsafe", "KeAcquireGuardedMutexUnsafe", 1)
def ex_acquire_fast_mutex_unsafe(system: System, mutex: int) -> int:
    _check_irql(system, mutex)
    return _take_fast(system, mutex, wait=True)


@export("KeAcquireGuardedMutex", 1)
def ke_acquire_guarded_mutex(system: System, mutex: int) -> int:
    _check_irql(system, mutex)
    system.enter_region(guarded=True)
    return _take_fast(system, mutex, wait=True)


@export("ExReleaseFastMutexUnsafe", "KeReleaseGuardedMutexUnsafe", 1)
def ex_release_fast_mutex_unsafe(system: System, mutex: int) -> None:
    _give_back_fast(system, mutex)


@export("KeReleaseGuardedMutex", 1)
def ke_release_guarded_mutex(system: System, mutex: int) -> int:
    _give_back_fast(system, mutex)
    system.leave_region(guarded=True)
    return with_due_interrupts(system, 0)


@export("ExAcquireFastMutex", 1)
def ex_acquire_fast_mutex(system: System, mutex: int) -> int:
    _check_irql(system, mutex)
    old = raise_to(system, APC_LEVEL)
    return _take_fast(system, mutex, wait=True, old_irql=old)


@export("ExReleaseFastMutex", 1)
def ex_release_fast_mutex(system: System, mutex: int) -> int:
    old = system.memory.load(mutex + _FAST_OLD_IRQL, 1)[0]
    _give_back_fast(system, mutex)
    return lower_to(system, old)


@export("ExTryToAcquireFastMutex", 1)
def ex_try_to_acquire_fast_mutex(system: System, mutex: int) -> int:
    _check_irql(system, mutex)
    old = raise_to(system, APC_LEVEL)
    if _take_fast(system, mutex, wait=False, old_irql=old):
        return 1
    return lower_to(system, old, 0)


@export("KeTryToAcquireGuardedMutex", 1)
def ke_try_to_acquire_guarded_mutex(system: System, mutex: int) -> int:
    _check_irql(system, mutex)
    if not _take_fast(system, mutex, wait=False):
        return 0
    system.enter_region(guarded=True)
    return 1
