"""Debugger support: prints, break points, and whether a debugger is there.

Sources: Microsoft, *DbgPrint*, *DbgPrintEx*, *vDbgPrintEx*, *vDbgPrintExWithPrefix*, *KdDisableDebugger*,
*KdRefreshDebuggerNotPresent* (wdm.h, ntddk.h); ReactOS, sdk/lib/rtl/debug.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.virtual.cpu.memory import is_canonical, is_kernel_address
from harness.virtual.cpu.traps import BugcheckRaised, MemoryFault
from harness.virtual.kernel.callrules import UNICODE_FORMATS, report_irql
from harness.virtual.kernel.dbgprint import MAX_FORMAT, Format, compile_format, cut, render
from harness.virtual.kernel.exports.registry import data, export
from harness.virtual.kernel.memoryrules import tell_kept
from harness.virtual.kernel.printfilter import DEFAULT_COMPONENT, INFO_LEVEL
from harness.virtual.kernel.system import System
from harness.virtual.kernel.varargs import VarArgs
from harness.virtual.windows.irql import DISPATCH_LEVEL, PASSIVE_LEVEL
from harness.virtual.windows.status import STATUS_ACCESS_VIOLATION, STATUS_SUCCESS, STATUS_UNSUCCESSFUL

__all__ = ["demand_level_of_unicode_formats", "format_text"]

_IRQL_NOT_LESS_OR_EQUAL: Final = 0x0A
_MAX_PREFIX = 512
_STATUS_INVALID_PARAMETER_1 = 0xC000_00EF

data("KdDebuggerEnabled", 1, 1)
data("KdDebuggerNotPresent", 1, 0)


def format_text(system: System, address: int, arguments: VarArgs) -> bytes:
    """Format as DbgPrint and the kernel's ``_snprintf`` do.

    :raises BugcheckRaised: see :func:`demand_level_of_unicode_formats`.
    """
    form = _compiled(system, address)
    if form.unicode:
        demand_level_of_unicode_formats(system)
    return render(form, arguments.take(form.words), system.memory)


def demand_level_of_unicode_formats(system: System) -> None:
    """UTF-16 text is about to be converted, which DbgPrint's documentation forbids above PASSIVE_LEVEL.

    The conversion tables are pageable. At APC_LEVEL they are paged in; above it Windows stops when they
    happen to be paged out, and here they always are.

    :raises BugcheckRaised: at DISPATCH_LEVEL and above.
    """
    irql = system.cpu.irql
    if irql == PASSIVE_LEVEL:
        return
    report_irql(system, UNICODE_FORMATS, "Unicode text")
    if irql >= DISPATCH_LEVEL:
        table = system.symbol("NlsUnicodeToAnsiData")
        raise BugcheckRaised(_IRQL_NOT_LESS_OR_EQUAL, table, irql, 0, system.caller())


def _compiled(system: System, address: int) -> Format:
    """The format at ``address``; those in read-only sections, nearly all, are read once."""
    form = system.formats.get(address)
    if form is None:
        form = compile_format(system.memory.c_string(address, MAX_FORMAT))
        if system.memory.protection(address) == "r":
            system.formats[address] = form
    return form


def _print(system: System, component: int, level: int, text: Callable[[], bytes]) -> int:
    """Pass a print through the filter to the debugger; the NTSTATUS.

    A print that the filter hides is not formatted. One whose pointers cannot be read prints nothing and
    returns the exception's code, as formatting is guarded; what the page fault handler itself stops for is
    not.
    """
    if not system.print_filter.passes(component & 0xFFFF_FFFF, level & 0xFFFF_FFFF):
        system.calls.hidden += 1
        return STATUS_SUCCESS
    try:
        made = text()
    except MemoryFault as fault:
        guarded = not (is_canonical(fault.address) and is_kernel_address(fault.address))
        if guarded and system.cpu.irql < DISPATCH_LEVEL:
            site = system.call_site()
            if site is not None:
                tell_kept(system, fault.address, site.driver, f"at {system.place(site.address)}")
            return STATUS_ACCESS_VIOLATION
        raise
    if made:
        system.port.print_string(cut(made), system.context.cpu)
        # As in Windows, where a print that finds a break-in waiting ends in DbgBreakPointWithStatus: a driver
        # that prints without end can be broken into.
        system.port.poll()
    return STATUS_SUCCESS


@export("DbgPrint", 1, variadic=True)
def dbg_print(system: System, form: int, arguments: VarArgs) -> int:
    return _print(system, DEFAULT_COMPONENT, INFO_LEVEL, lambda: format_text(system, form, arguments))


@export("DbgPrintReturnControlC", 1, variadic=True)
def dbg_print_return_control_c(system: System, form: int, arguments: VarArgs) -> int:
    return dbg_print(system, form, arguments)


@export("DbgPrintEx", 3, variadic=True)
def dbg_print_ex(system: System, component: int, level: int, form: int, arguments: VarArgs) -> int:
    return _print(system, component, level, lambda: format_text(system, form, arguments))


@export("vDbgPrintEx", 4)
def v_dbg_print_ex(system: System, component: int, level: int, form: int, list_address: int) -> int:
    arguments = VarArgs(system.memory, (), list_address)
    return _print(system, component, level, lambda: format_text(system, form, arguments))


@export("vDbgPrintExWithPrefix", 5)
def v_dbg_print_ex_with_prefix(
    system: System, prefix: int, component: int, level: int, form: int, list_address: int
) -> int:
    arguments = VarArgs(system.memory, (), list_address)

    def text() -> bytes:
        return system.memory.c_string(prefix, _MAX_PREFIX) + format_text(system, form, arguments)

    return _print(system, component, level, text)


@export("DbgQueryDebugFilterState", 2)
def dbg_query_debug_filter_state(system: System, component: int, level: int) -> int:
    return int(system.print_filter.passes(component & 0xFFFF_FFFF, level & 0xFFFF_FFFF))


@export("DbgSetDebugFilterState", 3)
def dbg_set_debug_filter_state(system: System, component: int, level: int, state: int) -> int:
    known = system.print_filter.set(component & 0xFFFF_FFFF, level & 0xFFFF_FFFF, passes=bool(state & 0xFF))
    return STATUS_SUCCESS if known else _STATUS_INVALID_PARAMETER_1


@export("DbgBreakPoint", "DbgBreakPointWithStatus", 1)
def dbg_break_point(_system: System, _status: int) -> None:
    """Real code in the kernel image (an ``int3``); declared here so that it is exported."""


@export("KdRefreshDebuggerNotPresent", 0)
def kd_refresh_debugger_not_present(_system: System) -> int:
    return 0


@export("KdDisableDebugger", "KdEnableDebugger", 0)
def kd_disable_debugger(_system: System) -> int:
    """The target cannot run without its debugger's link."""
    return STATUS_UNSUCCESSFUL
