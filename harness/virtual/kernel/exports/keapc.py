"""APCs and alerts.

Microsoft documents none of them; they are served as ReactOS declares them (ntifs.h), with the structures of
build 18362.
"""

from __future__ import annotations

from harness.virtual.kernel.apcs import KERNEL_MODE, USER_MODE, KApc
from harness.virtual.kernel.exports.irql import with_due_interrupts
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_APC_OBJECT = 0x12


@export("KeInitializeApc", 8)
def ke_initialize_apc(
    system: System,
    apc: int,
    thread: int,
    _environment: int,
    kernel_routine: int,
    rundown_routine: int,
    normal_routine: int,
    mode: int,
    context: int,
) -> None:
    """Without a normal routine it is a special kernel APC, whatever the mode."""
    memory = system.memory
    memory.store(apc, bytes((_APC_OBJECT, 0, KApc.SIZE, 0)) + bytes(KApc.SIZE - 4))
    memory.put_u64(apc + KApc.THREAD, thread)
    memory.put_u64(apc + KApc.KERNEL_ROUTINE, kernel_routine)
    memory.put_u64(apc + KApc.RUNDOWN_ROUTINE, rundown_routine)
    memory.put_u64(apc + KApc.NORMAL_ROUTINE, normal_routine)
    memory.put_u8(apc + KApc.MODE, USER_MODE if normal_routine and mode & 1 else KERNEL_MODE)
    memory.put_u64(apc + KApc.NORMAL_CONTEXT, context if normal_routine else 0)


@export("KeInsertQueueApc", 4)
def ke_insert_queue_apc(system: System, apc: int, first: int, second: int, _increment: int) -> int:
    return with_due_interrupts(system, int(system.apcs.insert(apc, first, second)))


@export("KeAlertThread", 2)
def ke_alert_thread(system: System, thread: int, mode: int) -> int:
    return int(system.apcs.alert(thread, mode & 1))


@export("KeTestAlertThread", 1)
def ke_test_alert_thread(system: System, mode: int) -> int:
    return int(system.apcs.test_alert(mode & 1))
