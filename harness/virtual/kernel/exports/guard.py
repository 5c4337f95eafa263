"""Control-flow guard: where an indirect call of a guarded driver may lead.

As with memory integrity (HVCI): to the functions in the table of a driver that was linked with /guard:cf, to
any code of another driver and of the kernel. Everything else is bugcheck 0x139 with 10 for its reason.
Sources: Microsoft, *Control Flow Guard for platform security*; *Bug Check 0x139:
KERNEL_SECURITY_CHECK_FAILURE*.
"""

from __future__ import annotations

from harness.virtual.cpu.kernel_image import GUARD_SERVICE
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []


@export(GUARD_SERVICE, 1)
def is_indirect_call_target(system: System, target: int) -> int:
    """Asked by the routines that the guard pointers of drivers lead to. A missing import passes: the call
    itself is what is reported."""
    if system.missing_imports.at(target) is not None:
        return 1
    driver = system.module_at(target)
    if driver is not None and driver.guard_targets is not None:
        return int(target in driver.guard_targets)
    if driver is None and not system.is_kernel_code(target):
        return 0
    return int("x" in (system.memory.protection(target) or ""))
