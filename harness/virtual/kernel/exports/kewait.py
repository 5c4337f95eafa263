"""Dispatcher objects - events, mutexes, semaphores, timers, threads, processes - and the waits for them.

Sources: Microsoft, wdm.h pages of each routine; structures of build 18362; the violations of Driver Verifier
in *Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Continued, StatusRaised
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.apcs import Alertability
from harness.virtual.kernel.execution import Execution
from harness.virtual.kernel.exports.irql import signed, with_due_interrupts
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import System
from harness.virtual.kernel.waits import demand_end, stand
from harness.virtual.windows.irql import APC_LEVEL
from harness.virtual.windows.status import (
    STATUS_INVALID_PARAMETER,
    STATUS_MUTANT_LIMIT_EXCEEDED,
    STATUS_MUTANT_NOT_OWNED,
    STATUS_SEMAPHORE_LIMIT_EXCEEDED,
    STATUS_SUCCESS,
    STATUS_TIMEOUT,
)

__all__ = ["alertability", "demand_wait", "due_time", "initialize_event", "wait_for"]

NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT, _MUTANT, _SEMAPHORE = 0, 1, 2, 5
_NOTIFICATION_TIMER, _SYNCHRONIZATION_TIMER = 8, 9
_WORDS: Final = {
    NOTIFICATION_EVENT: "event",
    SYNCHRONIZATION_EVENT: "event",
    _MUTANT: "mutex",
    _SEMAPHORE: "semaphore",
    _NOTIFICATION_TIMER: "timer",
    _SYNCHRONIZATION_TIMER: "timer",
}
_SIGNAL_STATE, _WAIT_LIST = 4, 8
_MUTANT_OWNER = 0x28
_SEMAPHORE_LIMIT = 0x18
_MUTANT_SIZE, _TIMER_SIZE = 0x38, 0x40
_MAX_RECURSION: Final = -0x8000_0000
_WAIT_ANY: Final = 1
MAXIMUM_WAIT_OBJECTS: Final = 64
_MAXIMUM_WAIT_OBJECTS_EXCEEDED: Final = 0x0C
_DRIVER_VERIFIER_DETECTED_VIOLATION: Final = 0xC4
_WAIT_AT_DISPATCH_LEVEL: Final = 0x3B


def _dispatcher_header(system: System, address: int, kind: int, state: int, extra: int = 0) -> None:
    links = address + _WAIT_LIST
    system.memory.store(address, bytes((kind, 0, 6, 0)) + (state & 0xFFFF_FFFF).to_bytes(4, "little"))
    system.memory.put_u64(links, links)
    system.memory.put_u64(links + 8, links)
    system.memory.store(address + 0x18, bytes(extra))
    system.locks.forget(address)


def initialize_event(system: System, event: int, kind: int, state: int) -> None:
    """KeInitializeEvent, for the events inside other objects too."""
    _dispatcher_header(system, event, kind & 1, state)


def alertability(mode: int, alertable: int) -> Alertability:
    """From the arguments WaitMode and Alertable."""
    return Alertability(alertable & 0xFF != 0, mode & 1)


def due_time(system: System, timeout: int) -> int:
    """Interrupt time that a LARGE_INTEGER names: relative when it is negative, else a system time."""
    due = signed(timeout)
    now = system.clock.now
    return now - due if due < 0 else max(due - system.clock.system_time + now, now)


@export("KeInitializeEvent", 3)
def ke_initialize_event(system: System, event: int, kind: int, state: int) -> None:
    initialize_event(system, event, kind, int(state & 0xFF != 0))


@export("KeSetEvent", 3)
def ke_set_event(system: System, event: int, _increment: int, _wait: int) -> int:
    old = system.memory.u32(event + _SIGNAL_STATE)
    system.memory.put_u32(event + _SIGNAL_STATE, 1)
    system.waits.signalled(event)
    return old


@export("KePulseEvent", 3)
def ke_pulse_event(system: System, event: int, increment: int, wait: int) -> int:
    old = ke_set_event(system, event, increment, wait)
    system.memory.put_u32(event + _SIGNAL_STATE, 0)
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
    _dispatcher_header(system, mutex, _MUTANT, 1, extra=_MUTANT_SIZE - 0x18)


@export("KeReleaseMutex", 2)
def ke_release_mutex(system: System, mutex: int, _wait: int) -> int:
    """Of a mutex that another thread holds: STATUS_MUTANT_NOT_OWNED is raised."""
    memory = system.memory
    old = signed(memory.u32(mutex + _SIGNAL_STATE), 32)
    if memory.u64(mutex + _MUTANT_OWNER) != system.current_thread():
        raise StatusRaised(STATUS_MUTANT_NOT_OWNED)
    memory.put_u32(mutex + _SIGNAL_STATE, old + 1)
    if old + 1 == 1:
        memory.put_u64(mutex + _MUTANT_OWNER, 0)
        system.locks.given_back(mutex, system.current)
        system.waits.signalled(mutex)
        system.leave_region(guarded=False)
    return with_due_interrupts(system, old & 0xFFFF_FFFF)


@export("KeInitializeSemaphore", 3)
def ke_initialize_semaphore(system: System, semaphore: int, count: int, limit: int) -> None:
    _dispatcher_header(system, semaphore, _SEMAPHORE, count, extra=8)
    system.memory.put_u32(semaphore + _SEMAPHORE_LIMIT, limit)


@export("KeReleaseSemaphore", 4)
def ke_release_semaphore(system: System, semaphore: int, _increment: int, count: int, _wait: int) -> int:
    """Beyond its limit: STATUS_SEMAPHORE_LIMIT_EXCEEDED is raised."""
    old = system.memory.u32(semaphore + _SIGNAL_STATE)
    new = signed(old, 32) + signed(count, 32)
    if new > signed(system.memory.u32(semaphore + _SEMAPHORE_LIMIT), 32):
        raise StatusRaised(STATUS_SEMAPHORE_LIMIT_EXCEEDED)
    system.memory.put_u32(semaphore + _SIGNAL_STATE, new)
    system.waits.signalled(semaphore)
    return old


class _Taker:
    """Takes dispatcher objects for the thread that waits now."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._thread = system.current_thread()
        self._execution = system.current
        self._place = system.caller()

    def can(self, address: int) -> bool:
        """It is signalled for this thread."""
        memory = self._system.memory
        item = self._system.objects.at(address)
        if isinstance(item, ProcessObject | ThreadObject):
            return item.exiting
        state = signed(memory.u32(address + _SIGNAL_STATE), 32)
        if self._kind(address) == _MUTANT:
            return state > 0 or memory.u64(address + _MUTANT_OWNER) == self._thread
        return state > 0

    def take(self, address: int) -> None:
        """Do what satisfying a wait does to the object."""
        memory = self._system.memory
        if self._system.objects.at(address) is not None:
            return
        kind, state = self._kind(address), signed(memory.u32(address + _SIGNAL_STATE), 32)
        if kind == _MUTANT:
            if state == _MAX_RECURSION:
                raise StatusRaised(STATUS_MUTANT_LIMIT_EXCEEDED)
            memory.put_u64(address + _MUTANT_OWNER, self._thread)
            memory.put_u32(address + _SIGNAL_STATE, state - 1)
            if state > 0:
                self._system.locks.taken(address, self._execution, self._place)
                if self._execution is not None:  # until it is released (Microsoft, Disabling APCs)
                    self._execution.critical_regions += 1
        elif kind in (SYNCHRONIZATION_EVENT, _SYNCHRONIZATION_TIMER):
            memory.put_u32(address + _SIGNAL_STATE, 0)
        elif kind == _SEMAPHORE:
            memory.put_u32(address + _SIGNAL_STATE, state - 1)

    def word(self, address: int) -> str:
        """``mutex`` or the like."""
        item = self._system.objects.at(address)
        if isinstance(item, ThreadObject):
            return f"end of thread {item.pid}.{item.tid}"
        if isinstance(item, ProcessObject):
            return f"end of process {item.pid}"
        return f"{_WORDS.get(self._kind(address), 'object')} at 0x{address:016x}"

    def is_mutex(self, address: int) -> bool:
        """It has an owner."""
        return self._system.objects.at(address) is None and self._kind(address) == _MUTANT

    def holders(self, address: int) -> Iterable[Execution]:
        """Who has it, or is what is waited for."""
        item = self._system.objects.at(address)
        if item is None:
            return self._system.locks.holders(address)
        tid = item.tid if isinstance(item, ThreadObject) else None
        return [found for found in self._system.executions if found.keeps_alive(item.pid, tid)]

    def _kind(self, address: int) -> int:
        return self._system.memory.load(address, 1)[0] & 0x7F


def demand_wait(system: System, address: int, timeout: int) -> None:
    """A thread may wait at the current IRQL, for the object at ``address``.

    :raises BugcheckRaised: it may not.
    """
    if system.cpu.irql > APC_LEVEL:
        raise BugcheckRaised(
            _DRIVER_VERIFIER_DETECTED_VIOLATION, _WAIT_AT_DISPATCH_LEVEL, system.cpu.irql, address, timeout
        )


def wait_for(
    system: System,
    addresses: tuple[int, ...],
    alertability: Alertability,
    *,
    any_of: bool,
    timeout: int,
    what: str = "",
) -> int:
    """Wait for one or all of these dispatcher objects; the NTSTATUS of the wait.

    :param timeout: address of the LARGE_INTEGER that names when to give up; 0: never.
    :param what: completes "it ..." in place of what the objects are.
    """
    taker = _Taker(system)
    interval = system.memory.u64(timeout) if timeout else None
    if interval != 0:
        demand_wait(system, addresses[0], timeout)

    def attempt() -> int | None:
        if any_of:
            for index, address in enumerate(addresses):
                if taker.can(address):
                    taker.take(address)
                    return index
            return None
        if not all(taker.can(address) for address in addresses):
            return None
        for address in addresses:
            taker.take(address)
        return STATUS_SUCCESS

    def holders() -> Iterable[Execution]:
        # Of several objects each can end the wait, so that none of their holders alone stands in its way.
        return () if any_of and len(addresses) > 1 else [h for a in addresses for h in taker.holders(a)]

    if interval is None:
        for address in addresses:
            if taker.is_mutex(address) and system.current not in system.locks.holders(address):
                system.locks.wants(address, system.current, system.caller())
    words = (" or the " if any_of else " and the ").join(taker.word(address) for address in addresses)
    due = None if interval is None else due_time(system, interval)
    return system.waits.until(
        attempt,
        addresses,
        what or f"waits for the {words}",
        due=due,
        late=STATUS_TIMEOUT,
        holders=holders,
        held="held by" if all(map(taker.is_mutex, addresses)) else "that is",
        alertability=alertability,
    )


@export("KeWaitForSingleObject", "KeWaitForMutexObject", 5)
def ke_wait_for_single_object(
    system: System, dispatcher: int, _reason: int, mode: int, alertable: int, timeout: int
) -> int:
    return wait_for(system, (dispatcher,), alertability(mode, alertable), any_of=True, timeout=timeout)


@export("KeWaitForMultipleObjects", 8)
def ke_wait_for_multiple_objects(
    system: System,
    count: int,
    objects: int,
    kind: int,
    _reason: int,
    mode: int,
    alertable: int,
    timeout: int,
    _blocks: int,
) -> int:
    count &= 0xFFFF_FFFF
    if count > MAXIMUM_WAIT_OBJECTS:
        raise BugcheckRaised(_MAXIMUM_WAIT_OBJECTS_EXCEEDED)
    if count == 0:
        return STATUS_INVALID_PARAMETER
    addresses = tuple(system.memory.u64(objects + 8 * index) for index in range(count))
    any_of = kind & 0xFFFF_FFFF == _WAIT_ANY
    return wait_for(system, addresses, alertability(mode, alertable), any_of=any_of, timeout=timeout)


@export("KeDelayExecutionThread", 3)
def ke_delay_execution_thread(system: System, mode: int, alertable: int, interval: int) -> int:
    demand_wait(system, 0, interval)
    due = due_time(system, system.memory.u64(interval))
    if system.current is not None:
        demand_end(system, system.current, due)
    if due <= system.clock.now:
        raise Continued(_pause(system, 0))
    return system.waits.until(
        lambda: None, (), "sleeps", due=due, late=STATUS_SUCCESS, alertability=alertability(mode, alertable)
    )


@export("KeStallExecutionProcessor", 1)
def ke_stall_execution_processor(system: System, microseconds: int) -> None:
    """The thread is busy meanwhile, and so is its processor from DISPATCH_LEVEL on."""
    raise Continued(_pause(system, (microseconds & 0xFFFF_FFFF) * 10))


def _pause(system: System, duration: int) -> Program[int]:
    execution = system.current
    if execution is not None:
        yield from stand(system, execution, duration)
    return STATUS_SUCCESS
