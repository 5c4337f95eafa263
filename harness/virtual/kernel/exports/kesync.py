"""Synchronisation: spin locks, dispatcher objects, mutexes.

Callbacks run to completion, one after another, so nobody else can ever release what a caller waits for: a
wait that cannot be satisfied at once and has no timeout is a hang. Sources: Microsoft, wdm.h pages of
each routine; structures of build 18362.
"""

from __future__ import annotations

from harness.virtual.cpu.traps import Hung
from harness.virtual.kernel.exports.ke import DISPATCH_LEVEL, signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_SUCCESS, STATUS_TIMEOUT

__all__: list[str] = []

_NOTIFICATION_EVENT, _SYNCHRONIZATION_EVENT, _MUTANT, _SEMAPHORE = 0, 1, 2, 5
_SIGNAL_STATE, _WAIT_LIST = 4, 8
_MUTANT_OWNER = 0x28
_SEMAPHORE_LIMIT = 0x18
_QUEUE_LOCK, _QUEUE_OLD_IRQL = 0x08, 0x10
_FAST_OWNER, _FAST_EVENT, _FAST_OLD_IRQL = 0x08, 0x18, 0x30
_APC_LEVEL = 1


def _acquire(system: System, lock: int) -> None:
    if system.memory.u64(lock):
        raise Hung(f"spins on the spin lock at 0x{lock:016x}, which is already held")
    system.memory.put_u64(lock, 1)


def _release(system: System, lock: int) -> None:
    system.memory.put_u64(lock, 0)


def _raise_to(system: System, level: int) -> int:
    old = system.cpu.irql
    system.cpu.irql = max(old, level)
    return old


@export("KeInitializeSpinLock", 1)
def ke_initialize_spin_lock(system: System, lock: int) -> None:
    _release(system, lock)


@export("KeAcquireSpinLockRaiseToDpc", "KeAcquireSpinLockRaiseToSynch", 1)
def ke_acquire_spin_lock_raise_to_dpc(system: System, lock: int) -> int:
    old = _raise_to(system, DISPATCH_LEVEL)
    _acquire(system, lock)
    return old


@export("KeAcquireSpinLock", 2)
def ke_acquire_spin_lock(system: System, lock: int, old: int) -> None:
    system.memory.put_u8(old, ke_acquire_spin_lock_raise_to_dpc(system, lock))


@export("KeReleaseSpinLock", 2)
def ke_release_spin_lock(system: System, lock: int, irql: int) -> None:
    _release(system, lock)
    system.cpu.irql = irql & 0xF


@export("KeAcquireSpinLockAtDpcLevel", 1)
def ke_acquire_spin_lock_at_dpc_level(system: System, lock: int) -> None:
    _acquire(system, lock)


@export("KeReleaseSpinLockFromDpcLevel", 1)
def ke_release_spin_lock_from_dpc_level(system: System, lock: int) -> None:
    _release(system, lock)


@export("KeTryToAcquireSpinLockAtDpcLevel", 1)
def ke_try_to_acquire_spin_lock_at_dpc_level(system: System, lock: int) -> int:
    if system.memory.u64(lock):
        return 0
    _acquire(system, lock)
    return 1


@export("KeTestSpinLock", 1)
def ke_test_spin_lock(system: System, lock: int) -> int:
    return int(system.memory.u64(lock) == 0)


@export("KeAcquireInStackQueuedSpinLock", 2)
def ke_acquire_in_stack_queued_spin_lock(system: System, lock: int, handle: int) -> None:
    old = _raise_to(system, DISPATCH_LEVEL)
    ke_acquire_in_stack_queued_spin_lock_at_dpc_level(system, lock, handle)
    system.memory.put_u8(handle + _QUEUE_OLD_IRQL, old)


@export("KeAcquireInStackQueuedSpinLockAtDpcLevel", 2)
def ke_acquire_in_stack_queued_spin_lock_at_dpc_level(system: System, lock: int, handle: int) -> None:
    _acquire(system, lock)
    system.memory.put_u64(handle, 0)
    system.memory.put_u64(handle + _QUEUE_LOCK, lock)


@export("KeReleaseInStackQueuedSpinLock", 1)
def ke_release_in_stack_queued_spin_lock(system: System, handle: int) -> None:
    ke_release_in_stack_queued_spin_lock_from_dpc_level(system, handle)
    system.cpu.irql = system.memory.load(handle + _QUEUE_OLD_IRQL, 1)[0]


@export("KeReleaseInStackQueuedSpinLockFromDpcLevel", 1)
def ke_release_in_stack_queued_spin_lock_from_dpc_level(system: System, handle: int) -> None:
    _release(system, system.memory.u64(handle + _QUEUE_LOCK))


def _dispatcher_header(system: System, address: int, kind: int, state: int, extra: int = 0) -> None:
    links = address + _WAIT_LIST
    system.memory.store(address, bytes((kind, 0, 6, 0)) + (state & 0xFFFF_FFFF).to_bytes(4, "little"))
    system.memory.put_u64(links, links)
    system.memory.put_u64(links + 8, links)
    system.memory.store(address + 0x18, bytes(extra))


@export("KeInitializeEvent", 3)
def ke_initialize_event(system: System, event: int, kind: int, state: int) -> None:
    _dispatcher_header(system, event, kind & 1, int(state & 0xFF != 0))


@export("KeSetEvent", 3)
def ke_set_event(system: System, event: int, _increment: int, _wait: int) -> int:
    old = system.memory.u32(event + _SIGNAL_STATE)
    system.memory.put_u32(event + _SIGNAL_STATE, 1)
    return old


@export("KeResetEvent", 1)
def ke_reset_event(system: System, event: int) -> int:
    old = system.memory.u32(event + _SIGNAL_STATE)
    system.memory.put_u32(event + _SIGNAL_STATE, 0)
    return old


@export("KeClearEvent", 1)
def ke_clear_event(system: System, event: int) -> None:
    system.memory.put_u32(event + _SIGNAL_STATE, 0)


@export("KeReadStateEvent", "KeReadStateMutex", "KeReadStateSemaphore", 1)
def ke_read_state(system: System, dispatcher: int) -> int:
    return system.memory.u32(dispatcher + _SIGNAL_STATE)


@export("KeInitializeMutex", 2)
def ke_initialize_mutex(system: System, mutex: int, _level: int) -> None:
    _dispatcher_header(system, mutex, _MUTANT, 1, extra=0x20)


@export("KeReleaseMutex", 2)
def ke_release_mutex(system: System, mutex: int, _wait: int) -> int:
    old = signed(system.memory.u32(mutex + _SIGNAL_STATE), 32)
    system.memory.put_u32(mutex + _SIGNAL_STATE, old + 1)
    if old + 1 == 1:
        system.memory.put_u64(mutex + _MUTANT_OWNER, 0)
    return old & 0xFFFF_FFFF


@export("KeInitializeSemaphore", 3)
def ke_initialize_semaphore(system: System, semaphore: int, count: int, limit: int) -> None:
    _dispatcher_header(system, semaphore, _SEMAPHORE, count, extra=8)
    system.memory.put_u32(semaphore + _SEMAPHORE_LIMIT, limit)


@export("KeReleaseSemaphore", 4)
def ke_release_semaphore(system: System, semaphore: int, _increment: int, count: int, _wait: int) -> int:
    old = system.memory.u32(semaphore + _SIGNAL_STATE)
    system.memory.put_u32(semaphore + _SIGNAL_STATE, old + count)
    return old


def _satisfy(system: System, dispatcher: int) -> bool:
    """Take the object if it is signalled."""
    memory = system.memory
    item = system.objects.at(dispatcher)
    if isinstance(item, ProcessObject | ThreadObject):
        return item.exiting
    kind = memory.load(dispatcher, 1)[0] & 0x7F
    state = signed(memory.u32(dispatcher + _SIGNAL_STATE), 32)
    if kind == _MUTANT:
        owner = memory.u64(dispatcher + _MUTANT_OWNER)
        thread = system.objects.thread(system.context.pid, system.context.tid).address
        if state <= 0 and owner != thread:
            return False
        memory.put_u64(dispatcher + _MUTANT_OWNER, thread)
        memory.put_u32(dispatcher + _SIGNAL_STATE, state - 1)
        return True
    if state <= 0:
        return False
    if kind == _SYNCHRONIZATION_EVENT:
        memory.put_u32(dispatcher + _SIGNAL_STATE, 0)
    elif kind == _SEMAPHORE:
        memory.put_u32(dispatcher + _SIGNAL_STATE, state - 1)
    return True


@export("KeWaitForSingleObject", "KeWaitForMutexObject", 5)
def ke_wait_for_single_object(
    system: System, dispatcher: int, _reason: int, _mode: int, _alertable: int, timeout: int
) -> int:
    if _satisfy(system, dispatcher):
        return STATUS_SUCCESS
    if timeout:
        system.memory.u64(timeout)
        return STATUS_TIMEOUT
    raise Hung(f"waits for the object at 0x{dispatcher:016x}, which nobody will signal")


def _try_fast(system: System, mutex: int) -> bool:
    if signed(system.memory.u32(mutex), 32) <= 0:
        return False
    system.memory.put_u32(mutex, 0)
    thread = system.objects.thread(system.context.pid, system.context.tid).address
    system.memory.put_u64(mutex + _FAST_OWNER, thread)
    return True


@export("ExInitializeFastMutex", "KeInitializeGuardedMutex", 1)
def ex_initialize_fast_mutex(system: System, mutex: int) -> None:
    system.memory.store(mutex, (1).to_bytes(0x18, "little"))
    ke_initialize_event(system, mutex + _FAST_EVENT, _SYNCHRONIZATION_EVENT, 0)


@export("ExAcquireFastMutexUnsafe", "KeAcquireGuardedMutex", "KeAcquireGuardedMutexUnsafe", 1)
def ex_acquire_fast_mutex_unsafe(system: System, mutex: int) -> None:
    if not _try_fast(system, mutex):
        raise Hung(f"waits for the mutex at 0x{mutex:016x}, which is already held")


@export("ExReleaseFastMutexUnsafe", "KeReleaseGuardedMutex", "KeReleaseGuardedMutexUnsafe", 1)
def ex_release_fast_mutex_unsafe(system: System, mutex: int) -> None:
    system.memory.put_u64(mutex + _FAST_OWNER, 0)
    system.memory.put_u32(mutex, 1)


@export("ExAcquireFastMutex", 1)
def ex_acquire_fast_mutex(system: System, mutex: int) -> None:
    old = _raise_to(system, _APC_LEVEL)
    ex_acquire_fast_mutex_unsafe(system, mutex)
    system.memory.put_u8(mutex + _FAST_OLD_IRQL, old)


@export("ExReleaseFastMutex", 1)
def ex_release_fast_mutex(system: System, mutex: int) -> None:
    old = system.memory.load(mutex + _FAST_OLD_IRQL, 1)[0]
    ex_release_fast_mutex_unsafe(system, mutex)
    system.cpu.irql = old


@export("ExTryToAcquireFastMutex", 1)
def ex_try_to_acquire_fast_mutex(system: System, mutex: int) -> int:
    old = _raise_to(system, _APC_LEVEL)
    if not _try_fast(system, mutex):
        system.cpu.irql = old
        return 0
    system.memory.put_u8(mutex + _FAST_OLD_IRQL, old)
    return 1


@export("KeTryToAcquireGuardedMutex", 1)
def ke_try_to_acquire_guarded_mutex(system: System, mutex: int) -> int:
    return int(_try_fast(system, mutex))
