"""From what went wrong to the bugcheck that Windows makes of it, or to the exception that it raises first.

Codes and parameters: Microsoft, *Bug Check Code Reference*, the page of each code. The rules that choose
between them, for a fault of the processor in kernel mode:

========================================================  ==============================================
a driver that has been unloaded is executed or touched    0xCE DRIVER_UNLOADED_WITHOUT_CANCELLING_...
freed pool, with the verifier                             0xD5 (at any IRQL)
behind an allocation, with the verifier                   0xD6
a page that may not be written                            0xBE
a page that may not be executed                           0xFC
not mapped, IRQL >= DISPATCH_LEVEL, driver's instruction  0xD1
the same, an instruction of the kernel                    0xA
kernel address that is not mapped                         0x50
``__fastfail``                                            0x139
the kernel stack is used up                               0x7F
anything else raises an exception                         what nobody handles: 0x3B in a user process's
                                                          system call, 0x7E in a system thread,
                                                          0x1E at IRQL >= DISPATCH_LEVEL
========================================================  ==============================================

Only an exception passes the debugger, in two chances, before it becomes a bugcheck: for all the rest the page
fault handler and ``KiBugCheckDispatch`` call KeBugCheckEx themselves (the stacks on those pages).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from harness.virtual.cpu.memory import is_canonical, is_kernel_address
from harness.virtual.cpu.stops import Faulted, Interrupted
from harness.virtual.cpu.traps import Access, BugcheckRaised
from harness.virtual.windows.irql import DISPATCH_LEVEL
from harness.virtual.windows.status import (
    STATUS_ACCESS_VIOLATION,
    STATUS_ASSERTION_FAILURE,
    STATUS_BREAKPOINT,
    STATUS_ILLEGAL_INSTRUCTION,
    STATUS_INTEGER_DIVIDE_BY_ZERO,
    STATUS_PRIVILEGED_INSTRUCTION,
    STATUS_SINGLE_STEP,
)

__all__ = [
    "UNEXPECTED_KERNEL_MODE_TRAP",
    "Culprit",
    "RaisedException",
    "Scene",
    "access_fault",
    "exception_information",
    "exception_record",
    "processor_fault",
    "unhandled",
]

_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF

_IRQL_NOT_LESS_OR_EQUAL: Final = 0x0A
_KMODE_EXCEPTION_NOT_HANDLED: Final = 0x1E
_SYSTEM_SERVICE_EXCEPTION: Final = 0x3B
_PAGE_FAULT_IN_NONPAGED_AREA: Final = 0x50
_SYSTEM_THREAD_EXCEPTION_NOT_HANDLED: Final = 0x7E
UNEXPECTED_KERNEL_MODE_TRAP: Final = 0x7F
_ATTEMPTED_WRITE_TO_READONLY_MEMORY: Final = 0xBE
_DRIVER_UNLOADED: Final = 0xCE
_DRIVER_IRQL_NOT_LESS_OR_EQUAL: Final = 0xD1
_DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL: Final = 0xD5
_DRIVER_PAGE_FAULT_BEYOND_END: Final = 0xD6
_ATTEMPTED_EXECUTE_OF_NOEXECUTE: Final = 0xFC
_KERNEL_SECURITY_CHECK_FAILURE: Final = 0x139
_DOUBLE_FAULT: Final = 8

_ACCESS_CLASSIC: Final[Mapping[Access, int]] = {"read": 0, "write": 1, "execute": 8}
"""Parameter 3 of 0xA and 0xD1."""
_ACCESS_TEN: Final[Mapping[Access, int]] = {"read": 0, "write": 2, "execute": 0x10}
"""Parameter 2 of 0x50 since Windows 10 1507; 0xCE is seen with the same."""
_EXCEPTION_ACCESS: Final[Mapping[Access, int]] = {"read": 0, "write": 1, "execute": 8}
"""ExceptionInformation[0] of an access violation."""
_READ_ONLY_PTE: Final = 0x8000_0000_0000_0021
_NO_EXECUTE_PTE: Final = 0x8000_0000_0000_0963

_EXCEPTIONS: Final[Mapping[int, int]] = {
    0: STATUS_INTEGER_DIVIDE_BY_ZERO,
    1: STATUS_SINGLE_STEP,
    3: STATUS_BREAKPOINT,
    6: STATUS_ILLEGAL_INSTRUCTION,
    13: STATUS_PRIVILEGED_INSTRUCTION,
    0x2C: STATUS_ASSERTION_FAILURE,
}
_FAST_FAIL: Final = 0x29

_EXCEPTION_RECORD: Final = struct.Struct("<IIQQII15Q")


class Scene(NamedTuple):
    """The circumstances of a fault, as far as they decide about the bugcheck."""

    irql: int
    system_thread: bool
    """The thread belongs to the System process."""
    in_kernel: bool
    """The faulting instruction is the kernel's: an export was given a bad pointer."""
    verifier: bool
    unloaded: Callable[[int], str | None]
    """Name of the unloaded driver whose image an address lay in."""
    pool_state: Callable[[int], Literal["freed", "beyond"] | None]
    exception_record: int
    """Where the kernel keeps the exception and context records."""
    context_record: int
    on_stack_guard: Callable[[int], bool]
    """An access to the address can raise no exception, for there is no stack left to raise it on."""


class Culprit(NamedTuple):
    """Where to look for whose fault something is, besides the instruction itself."""

    address: int | None = None
    """What was accessed."""
    caller: int | None = None
    """Who called the export that accessed it."""


class RaisedException(NamedTuple):
    """An exception that the kernel dispatches: the debugger, handlers, the debugger again, the bugcheck."""

    status: int
    """ExceptionCode, an NTSTATUS."""
    pc: int
    """ExceptionAddress."""
    information: tuple[int, ...] = ()
    """ExceptionInformation."""
    flags: int = 0
    """ExceptionFlags."""
    fault: Culprit = Culprit()


def access_fault(fault: Faulted, scene: Scene) -> BugcheckRaised | RaisedException:
    """What a memory access that failed leads to."""
    address, access, pc = fault.address, fault.access, fault.pc
    if scene.unloaded(address) is not None:
        return BugcheckRaised(_DRIVER_UNLOADED, address, _ACCESS_TEN[access], pc, 0)
    if scene.on_stack_guard(address):
        return BugcheckRaised(UNEXPECTED_KERNEL_MODE_TRAP, _DOUBLE_FAULT, address, 0, pc)
    if fault.present:
        if access == "write":
            return BugcheckRaised(_ATTEMPTED_WRITE_TO_READONLY_MEMORY, address, _READ_ONLY_PTE, 0, 0)
        return BugcheckRaised(_ATTEMPTED_EXECUTE_OF_NOEXECUTE, address, _NO_EXECUTE_PTE, 0, 0)
    if not is_canonical(address):
        # A general protection fault: the processor does not say which address.
        return RaisedException(STATUS_ACCESS_VIOLATION, pc, (0, _MAX))
    if scene.verifier:
        state = scene.pool_state(address)
        if state is not None:
            freed = state == "freed"
            code = _DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL if freed else _DRIVER_PAGE_FAULT_BEYOND_END
            return BugcheckRaised(code, address, _ACCESS_CLASSIC[access], pc, 0)
    if scene.irql >= DISPATCH_LEVEL:
        code = _IRQL_NOT_LESS_OR_EQUAL if scene.in_kernel else _DRIVER_IRQL_NOT_LESS_OR_EQUAL
        return BugcheckRaised(code, address, scene.irql, _ACCESS_CLASSIC[access], pc)
    if is_kernel_address(address):
        return BugcheckRaised(_PAGE_FAULT_IN_NONPAGED_AREA, address, _ACCESS_TEN[access], pc, 2)
    return RaisedException(STATUS_ACCESS_VIOLATION, pc, exception_information(fault))


def processor_fault(stop: Interrupted, rcx: int, scene: Scene) -> BugcheckRaised | RaisedException:
    """What an exception or software interrupt of the processor leads to.

    :param rcx: the processor's RCX: the reason of a ``__fastfail``.
    """
    if stop.vector == _FAST_FAIL:
        return BugcheckRaised(
            _KERNEL_SECURITY_CHECK_FAILURE, rcx & 0xFFFF_FFFF, scene.context_record, scene.exception_record, 0
        )
    status = _EXCEPTIONS.get(stop.vector)
    if status is None:
        return BugcheckRaised(UNEXPECTED_KERNEL_MODE_TRAP, stop.vector, 0, 0, stop.pc)
    return RaisedException(status, stop.pc)


def unhandled(raised: RaisedException, scene: Scene) -> BugcheckRaised:
    """The bugcheck of an exception that nobody handles in the current thread."""
    status, pc, information, *_ = raised
    if scene.irql >= DISPATCH_LEVEL:
        first, second = (*information, 0, 0)[:2]
        return BugcheckRaised(_KMODE_EXCEPTION_NOT_HANDLED, status, pc, first, second)
    if scene.system_thread:
        return BugcheckRaised(
            _SYSTEM_THREAD_EXCEPTION_NOT_HANDLED, status, pc, scene.exception_record, scene.context_record
        )
    return BugcheckRaised(_SYSTEM_SERVICE_EXCEPTION, status, pc, scene.context_record, 0)


def exception_information(fault: Faulted) -> tuple[int, int]:
    """ExceptionInformation of an access violation: what was tried, and the address."""
    return _EXCEPTION_ACCESS[fault.access], fault.address


def exception_record(raised: RaisedException) -> bytes:
    """EXCEPTION_RECORD64."""
    status, pc, information, flags, _ = raised
    words = (*information, *(0,) * (15 - len(information)))
    return _EXCEPTION_RECORD.pack(status, flags, 0, pc, len(information), 0, *words)
