"""Cancel-safe queues: IRPs in a driver's own queue, of which those that are cancelled are taken out.

The queue, its lock and its order are the driver's, by the routines of its IO_CSQ; which of insertion, removal
and cancellation comes first is decided here. Sources: Microsoft, *Cancel-Safe IRP Queues*, *IoCsqInitialize*,
*IoCsqInsertIrp*, *IoCsqRemoveNextIrp*, *IoCsqRemoveIrp* (wdm.h); the structures and their types are those of
csq.h.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.traps import Continued, Hung
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.exports.iocancel import io_release_cancel_spin_lock
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.structures.irp import IO_STACK_LOCATION, IRP
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_SUCCESS, failed

__all__: list[str] = []

_CSQ, _IRP_CONTEXT, _CSQ_EX = 1, 2, 3
"""IO_TYPE_CSQ, IO_TYPE_CSQ_IRP_CONTEXT, IO_TYPE_CSQ_EX: what the structures begin with."""
_INSERT, _REMOVE, _PEEK, _ACQUIRE, _RELEASE, _COMPLETE = 0x08, 0x10, 0x18, 0x20, 0x28, 0x30
"""Offsets of the routines in IO_CSQ."""
_CONTEXT_IRP, _CONTEXT_CSQ = 0x08, 0x10
"""Offsets in IO_CSQ_IRP_CONTEXT."""
_DRIVER_CONTEXT_3: Final = 0x90
"""Offset in IRP: where the queue or the context of one that is queued stands."""
_PENDING_RETURNED: Final = 0x01
MAX_PEEKED: Final = 10_000
"""IRPs that one removal is shown; a queue that goes on for longer is closed into a circle."""


class _Queue:
    """One IO_CSQ, for one call of the library."""

    def __init__(self, system: System, csq: int) -> None:
        self._system = system
        self._memory = system.memory
        self._csq = csq
        self._caller = system.exceptions.caller()
        self._irql = system.heap.allocate(1)
        """Where CsqAcquireLock puts the IRQL that CsqReleaseLock is given back."""

    def acquire(self) -> Program[int]:
        return self._call(_ACQUIRE, self._csq, self._irql)

    def release(self) -> Program[int]:
        irql = self._memory.load(self._irql, 1)[0]
        self._system.heap.free(self._irql)
        return self._call(_RELEASE, self._csq, irql)

    def insert(self, irp: int, context: int) -> Program[int]:
        """The NTSTATUS of a queue that may refuse it."""
        if self._memory.u32(self._csq) != _CSQ_EX:
            yield from self._call(_INSERT, self._csq, irp)
            return STATUS_SUCCESS
        return (yield from self._call(_INSERT, self._csq, irp, context)) & 0xFFFF_FFFF

    def remove(self, irp: int) -> Program[None]:
        """Out of the queue, and out of the context that it may have."""
        yield from self._call(_REMOVE, self._csq, irp)
        held = self._memory.u64(irp + _DRIVER_CONTEXT_3)
        if held != self._csq and self._memory.u32(held) == _IRP_CONTEXT:
            self._memory.put_u64(held + _CONTEXT_IRP, 0)
        self._memory.put_u64(irp + _DRIVER_CONTEXT_3, 0)

    def take(self, irp: int) -> Program[int]:
        """What a removal has found, if anything, out of the queue, whose lock is released."""
        if irp:
            yield from self.remove(irp)
        yield from self.release()
        return irp

    def peek(self, irp: int, context: int) -> Program[int]:
        """The next one behind ``irp`` that matches; 0: there is none."""
        return self._call(_PEEK, self._csq, irp, context)

    def complete_cancelled(self, irp: int) -> Program[int]:
        return self._call(_COMPLETE, self._csq, irp)

    def _call(self, routine: int, *arguments: int) -> Program[int]:
        address = self._memory.u64(self._csq + routine)
        return self._system.exceptions.call_back(self._caller, address, arguments)


def _take_cancel_routine(system: System, irp: int) -> bool:
    """Whether it has one, and so nobody cancels it any more."""
    at = irp + IRP.offset("CancelRoutine")
    routine = system.memory.u64(at)
    system.memory.put_u64(at, 0)
    return routine != 0


def _initialize(system: System, kind: int, csq: int, routines: tuple[int, ...]) -> int:
    system.memory.store(csq, struct.pack("<I4x7Q", kind, *routines, 0))
    return STATUS_SUCCESS


@export("IoCsqInitialize", 7)
def io_csq_initialize(
    system: System,
    csq: int,
    insert: int,
    remove: int,
    peek: int,
    acquire: int,
    release: int,
    complete: int,
) -> int:
    return _initialize(system, _CSQ, csq, (insert, remove, peek, acquire, release, complete))


@export("IoCsqInitializeEx", 7)
def io_csq_initialize_ex(
    system: System,
    csq: int,
    insert: int,
    remove: int,
    peek: int,
    acquire: int,
    release: int,
    complete: int,
) -> int:
    return _initialize(system, _CSQ_EX, csq, (insert, remove, peek, acquire, release, complete))


@export("IoCsqInsertIrp", 3)
def io_csq_insert_irp(system: System, csq: int, irp: int, context: int) -> int:
    raise Continued(_insert(system, csq, irp, context, 0))


@export("IoCsqInsertIrpEx", 4)
def io_csq_insert_irp_ex(system: System, csq: int, irp: int, context: int, insert_context: int) -> int:
    raise Continued(_insert(system, csq, irp, context, insert_context))


def _insert(system: System, csq: int, irp: int, context: int, insert_context: int) -> Program[int]:
    memory, queue = system.memory, _Queue(system, csq)
    if context:
        memory.store(context, struct.pack("<I4xQQ", _IRP_CONTEXT, irp, csq))
    memory.put_u64(irp + _DRIVER_CONTEXT_3, context or csq)
    yield from queue.acquire()
    status = yield from queue.insert(irp, insert_context)
    if failed(status):
        yield from queue.release()
        return status
    control = memory.u64(irp + IRP.offset("CurrentStackLocation")) + IO_STACK_LOCATION.offset("Control")
    memory.put_u8(control, memory.load(control, 1)[0] | _PENDING_RETURNED)
    memory.put_u64(irp + IRP.offset("CancelRoutine"), system.symbol("IopCsqCancelRoutine"))
    if memory.load(irp + IRP.offset("Cancel"), 1)[0] and _take_cancel_routine(system, irp):
        yield from queue.remove(irp)
        yield from queue.release()
        yield from queue.complete_cancelled(irp)
    else:
        yield from queue.release()
    return status


@export("IoCsqRemoveNextIrp", 2)
def io_csq_remove_next_irp(system: System, csq: int, context: int) -> int:
    """NULL: no IRP matches that is not being cancelled."""
    raise Continued(_remove_next(system, csq, context))


def _remove_next(system: System, csq: int, context: int) -> Program[int]:
    queue, irp = _Queue(system, csq), 0
    yield from queue.acquire()
    for _ in range(MAX_PEEKED):
        irp = yield from queue.peek(irp, context)
        if not irp or _take_cancel_routine(system, irp):
            break
    else:
        raise Hung(f"goes through the cancel-safe queue at 0x{csq:016x} without end")
    return (yield from queue.take(irp))


@export("IoCsqRemoveIrp", 2)
def io_csq_remove_irp(system: System, csq: int, context: int) -> int:
    """NULL: that IRP is not in the queue any more, or is being cancelled."""
    raise Continued(_remove(system, csq, context))


def _remove(system: System, csq: int, context: int) -> Program[int]:
    queue = _Queue(system, csq)
    yield from queue.acquire()
    irp = system.memory.u64(context + _CONTEXT_IRP)
    if irp and not _take_cancel_routine(system, irp):
        irp = 0
    return (yield from queue.take(irp))


@export("IopCsqCancelRoutine", 2)
def iop_csq_cancel_routine(system: System, _device: int, irp: int) -> int:
    """The cancel routine of every IRP in such a queue; it is called with the cancel spin lock held."""
    due: Program[int] | None = None
    try:
        io_release_cancel_spin_lock(system, system.memory.load(irp + IRP.offset("CancelIrql"), 1)[0])
    except Continued as rest:
        due = rest.program
    raise Continued(_cancel(system, irp, due))


def _cancel(system: System, irp: int, due: Program[int] | None) -> Program[int]:
    """:param due: what runs first, now that the IRQL is lower."""
    memory = system.memory
    held = memory.u64(irp + _DRIVER_CONTEXT_3)
    csq = memory.u64(held + _CONTEXT_CSQ) if memory.u32(held) == _IRP_CONTEXT else held
    queue = _Queue(system, csq)
    if due is not None:
        yield from due
    yield from queue.acquire()
    yield from queue.remove(irp)
    yield from queue.release()
    return (yield from queue.complete_cancelled(irp))
