"""DPCs and timers.

Sources: Microsoft, wdm.h pages of each routine.
"""

from __future__ import annotations

import struct

from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.deferred import KDpc
from harness.virtual.kernel.execution import DPC
from harness.virtual.kernel.exports.irql import with_due_interrupts
from harness.virtual.kernel.exports.kewait import due_time
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__ = ["timer_header"]

_DPC_OBJECT = 0x13
_DPC_NUMBER = 0x02
"""KDPC.Number, a USHORT: 0 or the target processor + this."""
_TARGETED = 0x500
_TIMER_OBJECT = 8
_SIGNAL_STATE, _WAIT_LIST = 4, 8


@export("KeInitializeDpc", "KeInitializeThreadedDpc", 3)
def ke_initialize_dpc(system: System, dpc: int, routine: int, context: int) -> None:
    memory = system.memory
    memory.store(dpc, bytes((_DPC_OBJECT, 1, 0, 0)) + bytes(KDpc.SIZE - 4))
    memory.put_u64(dpc + KDpc.ROUTINE, routine)
    memory.put_u64(dpc + KDpc.CONTEXT, context)


@export("KeSetImportanceDpc", 2)
def ke_set_importance_dpc(_system: System, _dpc: int, _value: int) -> None:
    """DPCs run in the order in which they were queued."""


@export("KeSetTargetProcessorDpc", 2)
def ke_set_target_processor_dpc(system: System, dpc: int, number: int) -> None:
    system.memory.put_u16(dpc + _DPC_NUMBER, _TARGETED + (number & 0xFF))


@export("KeInsertQueueDpc", 3)
def ke_insert_queue_dpc(system: System, dpc: int, first: int, second: int) -> int:
    target = system.memory.u16(dpc + _DPC_NUMBER) - _TARGETED
    processor = target if 0 <= target < system.processors else system.context.cpu
    system.belongings.take(Belonging.DPC, dpc, system.call_site())
    return with_due_interrupts(system, int(system.dpcs.insert(dpc, first, second, processor)))


@export("KeRemoveQueueDpc", 1)
def ke_remove_queue_dpc(system: System, dpc: int) -> int:
    return int(system.dpcs.remove(dpc))


@export("KeFlushQueuedDpcs", 0)
def ke_flush_queued_dpcs(system: System) -> int:
    """The caller's own processor has run its DPCs already; those that stand on others are waited for."""
    running = tuple(found for found in system.executions if found.what == DPC)

    def attempt() -> int | None:
        return 0 if all(found.ended for found in running) else None

    what = "waits for the DPCs of all processors"
    return system.waits.until(
        attempt, running, what, holders=lambda: [f for f in running if not f.ended], held="that is"
    )


def timer_header(timer: int, *, synchronization: bool) -> bytes:
    """The KTIMER at that address that is not set."""
    links = struct.pack("<Q", timer + _WAIT_LIST & 0xFFFF_FFFF_FFFF_FFFF)
    return bytes((_TIMER_OBJECT + synchronization, *bytes(_WAIT_LIST - 1))) + 2 * links + bytes(0x28)


@export("KeInitializeTimer", 1)
def ke_initialize_timer(system: System, timer: int) -> None:
    ke_initialize_timer_ex(system, timer, 0)


@export("KeInitializeTimerEx", 2)
def ke_initialize_timer_ex(system: System, timer: int, kind: int) -> None:
    system.memory.store(timer, timer_header(timer, synchronization=bool(kind & 1)))


@export("KeSetTimer", 3)
def ke_set_timer(system: System, timer: int, due: int, dpc: int) -> int:
    return ke_set_timer_ex(system, timer, due, 0, dpc)


@export("KeSetTimerEx", 4)
def ke_set_timer_ex(system: System, timer: int, due: int, period: int, dpc: int) -> int:
    """Negative due times are relative; absolute ones are system time. The period is in milliseconds."""
    system.memory.put_u32(timer + _SIGNAL_STATE, 0)
    delay = due_time(system, due) - system.clock.now
    system.belongings.take(Belonging.TIMER, timer, system.call_site())
    return int(system.timers.set(timer, delay, (period & 0xFFFF_FFFF) * 10_000, dpc))


@export("KeSetCoalescableTimer", 5)
def ke_set_coalescable_timer(
    system: System, timer: int, due: int, period: int, _tolerable_delay: int, dpc: int
) -> int:
    """It expires when it is due: no delay that is tolerated is made use of."""
    return ke_set_timer_ex(system, timer, due, period, dpc)


@export("KeCancelTimer", 1)
def ke_cancel_timer(system: System, timer: int) -> int:
    return int(system.timers.cancel(timer))


@export("KeReadStateTimer", 1)
def ke_read_state_timer(system: System, timer: int) -> int:
    return int(system.memory.u32(timer + _SIGNAL_STATE) != 0)
