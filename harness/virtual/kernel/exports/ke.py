"""Kernel core: IRQL, time, processors, bugchecks.

Sources: Microsoft, wdm.h and ntddk.h pages of each routine; *Bug Check Code Reference*.
"""

from __future__ import annotations

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.exports.irql import lower_to, with_due_interrupts
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.structures.shareddata import TICK
from harness.virtual.kernel.system import System
from harness.virtual.windows.irql import APC_LEVEL, DISPATCH_LEVEL

__all__: list[str] = []

_IRQL_NOT_GREATER_OR_EQUAL = 0x09
_IRQL_NOT_LESS_OR_EQUAL = 0x0A
_QPC_FREQUENCY = 10_000_000

data("KeNumberProcessors", 1)
data("NtBuildNumber", 4, 0xF000_47BA)
data("KeTickCount", 16)
data("InitSafeBootMode", 4)
data("NtGlobalFlag", 4)


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
def ke_lower_irql(system: System, level: int) -> int:
    level &= 0xFF
    if level > system.cpu.irql:
        raise BugcheckRaised(_IRQL_NOT_LESS_OR_EQUAL, system.cpu.irql, level, 0, system.caller())
    return lower_to(system, level)


@export("KeAreApcsDisabled", 0)
def ke_are_apcs_disabled(system: System) -> int:
    """Normal kernel APCs: inside a critical or guarded region. What the IRQL holds off does not count."""
    return int(system.current is not None and system.current.in_critical_region)


@export("KeAreAllApcsDisabled", 0)
def ke_are_all_apcs_disabled(system: System) -> int:
    """Special kernel APCs too: inside a guarded region, or from APC_LEVEL on."""
    execution = system.current
    in_region = execution is not None and execution.guarded_regions > 0
    return int(in_region or system.cpu.irql >= APC_LEVEL)


@export("KeEnterCriticalRegion", "FsRtlEnterFileSystem", 0)
def ke_enter_critical_region(system: System) -> None:
    system.enter_region(guarded=False)


@export("KeLeaveCriticalRegion", "FsRtlExitFileSystem", 0)
def ke_leave_critical_region(system: System) -> int:
    system.leave_region(guarded=False)
    return with_due_interrupts(system, 0)


@export("KeEnterGuardedRegion", 0)
def ke_enter_guarded_region(system: System) -> None:
    system.enter_region(guarded=True)


@export("KeLeaveGuardedRegion", 0)
def ke_leave_guarded_region(system: System) -> int:
    system.leave_region(guarded=True)
    return with_due_interrupts(system, 0)


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
