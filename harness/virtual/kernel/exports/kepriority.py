"""Thread priorities: kept for whoever asks. They decide nothing, and there are no boosts.

Sources: Microsoft, *KeSetPriorityThread*, *KeQueryPriorityThread* (wdm.h), *KeSetBasePriorityThread*
(ntifs.h); structures of build 18362.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.structures.thread import NORMAL_PRIORITY
from harness.virtual.kernel.system import System
from harness.virtual.windows.symbols18362 import ETHREAD

__all__: list[str] = []

_PRIORITY: Final = ETHREAD.offset("Priority")
_BASE_PRIORITY: Final = ETHREAD.offset("BasePriority")
_LOWEST, _HIGHEST = 1, 31


@export("KeQueryPriorityThread", 1)
def ke_query_priority_thread(system: System, thread: int) -> int:
    return system.memory.load(thread + _PRIORITY, 1)[0]


@export("KeSetPriorityThread", 2)
def ke_set_priority_thread(system: System, thread: int, priority: int) -> int:
    """1 to 31; the old one."""
    old = ke_query_priority_thread(system, thread)
    system.memory.put_u8(thread + _PRIORITY, _within(signed(priority, 32)))
    return old


@export("KeSetBasePriorityThread", 2)
def ke_set_base_priority_thread(system: System, thread: int, increment: int) -> int:
    """Relative to the process's; the old increment."""
    old = system.memory.load(thread + _BASE_PRIORITY, 1)[0] - NORMAL_PRIORITY
    priority = _within(NORMAL_PRIORITY + signed(increment, 32))
    system.memory.put_u8(thread + _BASE_PRIORITY, priority)
    system.memory.put_u8(thread + _PRIORITY, priority)
    return old & 0xFFFF_FFFF


def _within(priority: int) -> int:
    return min(max(priority, _LOWEST), _HIGHEST)
