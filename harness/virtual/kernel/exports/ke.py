"""Kernel core: IRQL, time, processors, DPCs, timers, bugchecks.

Sources: Microsoft, wdm.h and ntddk.h pages of each routine; *Bug Check Code Reference*.
"""

from __future__ import annotations

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.structures.shareddata import TICK
from harness.virtual.kernel.system import GuestCall, System, Timer
from harness.virtual.windows.status import STATUS_SUCCESS

__all__ = ["signed"]

_IRQL_NOT_GREATER_OR_EQUAL = 0x09
_IRQL_NOT_LESS_OR_EQUAL = 0x0A
_QPC_FREQUENCY = 10_000_000
_DPC_OBJECT = 0x13
_DPC_LINK, _DPC_ROUTINE, _DPC_CONTEXT, _DPC_FIRST, _DPC_SECOND, _DPC_DATA = 0x08, 0x18, 0x20, 0x28, 0x30, 0x38
_TIMER_OBJECT = 8
DISPATCH_LEVEL = 2

data("KeNumberProcessors", 1)
data("NtBuildNumber", 4, 0xF000_47BA)
data("KeTickCount", 16)
data("InitSafeBootMode", 4)
data("NtGlobalFlag", 4)


def signed(value: int, bits: int = 64) -> int:
    """The two's complement value of the low ``bits``."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@export("KeGetCurrentIrql", 0)
def ke_get_current_irql(system: System) -> int:
    return system.cpu.irql


@export("KfRaiseIrql", "KeRaiseIrqlToLevel", 1)
def kf_raise_irql(system: System, level: int) -> int:
    old, level = system.cpu.irql, level & 0xFF
    if level < old:
        raise BugcheckRaised(_IRQL_NOT_GREATER_OR_EQUAL, old, level, 0, system.caller())
    system.cpu.irql = level & 0xF
    return old


@export("KeRaiseIrql", 2)
def ke_raise_irql(system: System, level: int, old: int) -> None:
    system.memory.put_u8(old, kf_raise_irql(system, level))


@export("KeRaiseIrqlToDpcLevel", 0)
def ke_raise_irql_to_dpc_level(system: System) -> int:
    return kf_raise_irql(system, DISPATCH_LEVEL)


@export("KfLowerIrql", "KeLowerIrql", 1)
def ke_lower_irql(system: System, level: int) -> None:
    level &= 0xFF
    if level > system.cpu.irql:
        raise BugcheckRaised(_IRQL_NOT_LESS_OR_EQUAL, system.cpu.irql, level, 0, system.caller())
    system.cpu.irql = level


@export("KeAreApcsDisabled", "KeAreAllApcsDisabled", 0)
def ke_are_apcs_disabled(system: System) -> int:
    """Notify callbacks run inside a critical region (PCREATE_PROCESS_NOTIFY_ROUTINE, Remarks)."""
    return int(system.in_callback)


@export(
    "KeEnterCriticalRegion",
    "KeLeaveCriticalRegion",
    "KeEnterGuardedRegion",
    "KeLeaveGuardedRegion",
    "FsRtlEnterFileSystem",
    "FsRtlExitFileSystem",
    0,
)
def ke_enter_critical_region(_system: System) -> None:
    """No APCs are modelled, so there is nothing to hold off."""


@export("KeQueryPerformanceCounter", 1)
def ke_query_performance_counter(system: System, frequency: int) -> int:
    if frequency:
        system.memory.put_u64(frequency, _QPC_FREQUENCY)
    return system.clock.now


@export("KeQuerySystemTimePrecise", "KeQuerySystemTime", 1)
def ke_query_system_time(system: System, result: int) -> None:
    system.memory.put_u64(result, system.clock.system_time)


@export("KeQueryInterruptTime", 0)
def ke_query_interrupt_time(system: System) -> int:
    return system.clock.now


@export("KeQueryInterruptTimePrecise", "KeQueryUnbiasedInterruptTimePrecise", 1)
def ke_query_interrupt_time_precise(system: System, counter: int) -> int:
    system.memory.put_u64(counter, system.clock.now)
    return system.clock.now


@export("KeQueryUnbiasedInterruptTime", 0)
def ke_query_unbiased_interrupt_time(system: System) -> int:
    return system.clock.now


@export("KeQueryTickCount", 1)
def ke_query_tick_count(system: System, result: int) -> None:
    system.memory.put_u64(result, system.clock.now // TICK)


@export("KeQueryTimeIncrement", 0)
def ke_query_time_increment(_system: System) -> int:
    return TICK


@export("KeStallExecutionProcessor", 1)
def ke_stall_execution_processor(_system: System, _microseconds: int) -> None:
    """The model alone moves the clock: a stall takes no target time."""


@export("KeGetCurrentProcessorNumber", 0)
def ke_get_current_processor_number(system: System) -> int:
    return system.context.cpu


@export("KeGetCurrentProcessorNumberEx", 1)
def ke_get_current_processor_number_ex(system: System, number: int) -> int:
    if number:
        system.memory.put_u32(number, system.context.cpu << 16)  # PROCESSOR_NUMBER: Group, Number, Reserved
    return system.context.cpu


@export(
    "KeQueryActiveProcessorCountEx",
    "KeQueryMaximumProcessorCountEx",
    "KeQueryActiveProcessorCount",
    1,
)
def ke_query_active_processor_count(system: System, _group_or_mask: int) -> int:
    return system.processors


@export("KeQueryMaximumProcessorCount", 0)
def ke_query_maximum_processor_count(system: System) -> int:
    return system.processors


@export("KeQueryActiveProcessors", 0)
def ke_query_active_processors(system: System) -> int:
    return (1 << system.processors) - 1


@export("KeQueryActiveGroupCount", "KeQueryMaximumGroupCount", 0)
def ke_query_active_group_count(_system: System) -> int:
    return 1


@export("KeBugCheckEx", 5)
def ke_bug_check_ex(_system: System, code: int, p1: int, p2: int, p3: int, p4: int) -> None:
    raise BugcheckRaised(code & 0xFFFF_FFFF, p1, p2, p3, p4)


@export("KeBugCheck", 1)
def ke_bug_check(_system: System, code: int) -> None:
    raise BugcheckRaised(code & 0xFFFF_FFFF)


@export("KeInitializeDpc", "KeInitializeThreadedDpc", 3)
def ke_initialize_dpc(system: System, dpc: int, routine: int, context: int) -> None:
    memory = system.memory
    memory.store(dpc, bytes((_DPC_OBJECT, 1, 0, 0)) + bytes(0x3C))
    memory.put_u64(dpc + _DPC_ROUTINE, routine)
    memory.put_u64(dpc + _DPC_CONTEXT, context)


@export("KeSetImportanceDpc", "KeSetTargetProcessorDpc", 2)
def ke_set_importance_dpc(_system: System, _dpc: int, _value: int) -> None:
    """DPCs run in the order in which they were queued, on the processor that queued them."""


@export("KeInsertQueueDpc", 3)
def ke_insert_queue_dpc(system: System, dpc: int, first: int, second: int) -> int:
    memory = system.memory
    if memory.u64(dpc + _DPC_DATA):
        return 0  # queued already
    memory.put_u64(dpc + _DPC_FIRST, first)
    memory.put_u64(dpc + _DPC_SECOND, second)
    memory.put_u64(dpc + _DPC_DATA, dpc)
    arguments = (dpc, memory.u64(dpc + _DPC_CONTEXT), first, second)
    routine = memory.u64(dpc + _DPC_ROUTINE)
    system.deferred.append(GuestCall(routine, arguments, irql=DISPATCH_LEVEL, release=dpc + _DPC_DATA))
    return 1


@export("KeRemoveQueueDpc", 1)
def ke_remove_queue_dpc(system: System, dpc: int) -> int:
    queued = [call for call in system.deferred if call.release == dpc + _DPC_DATA]
    for call in queued:
        system.deferred.remove(call)
        system.memory.put_u64(dpc + _DPC_DATA, 0)
    return int(bool(queued))


@export("KeFlushQueuedDpcs", 0)
def ke_flush_queued_dpcs(_system: System) -> None:
    """DPCs run before the caller's next instruction would see them; what is queued runs when it returns."""


@export("KeInitializeTimer", 1)
def ke_initialize_timer(system: System, timer: int) -> None:
    ke_initialize_timer_ex(system, timer, 0)


@export("KeInitializeTimerEx", 2)
def ke_initialize_timer_ex(system: System, timer: int, kind: int) -> None:
    system.memory.store(timer, bytes((_TIMER_OBJECT + (kind & 1), 0, 0, 0)) + bytes(0x3C))


@export("KeSetTimer", 3)
def ke_set_timer(system: System, timer: int, due: int, dpc: int) -> int:
    return ke_set_timer_ex(system, timer, due, 0, dpc)


@export("KeSetTimerEx", 4)
def ke_set_timer_ex(system: System, timer: int, due: int, period: int, dpc: int) -> int:
    """Negative due times are relative; absolute ones are system time. The period is in milliseconds."""
    was_set = timer in system.timers
    due = signed(due)
    moment = system.clock.now - due if due < 0 else due - system.clock.system_time + system.clock.now
    system.timers[timer] = Timer(moment, dpc, (period & 0xFFFF_FFFF) * 10_000)
    system.memory.put_u32(timer + 4, 0)
    return int(was_set)


@export("KeCancelTimer", 1)
def ke_cancel_timer(system: System, timer: int) -> int:
    return int(system.timers.pop(timer, None) is not None)


@export("KeReadStateTimer", 1)
def ke_read_state_timer(system: System, timer: int) -> int:
    return int(system.memory.u32(timer + 4) != 0)


@export("KeDelayExecutionThread", 3)
def ke_delay_execution_thread(_system: System, _mode: int, _alertable: int, _interval: int) -> int:
    """The model alone moves the clock: a delay takes no target time."""
    return STATUS_SUCCESS
