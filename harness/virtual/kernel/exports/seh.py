"""Structured exceptions: the language handler of C, unwinding, and what a stack walk needs.

Sources: Microsoft, *__C_specific_handler*, *RtlUnwindEx*, *RtlUnwind*, *RtlLookupFunctionEntry*,
*RtlVirtualUnwind*, *RtlCaptureContext*, *RtlRestoreContext*, *RtlPcToFileHeader*,
*RtlCaptureStackBackTrace* (winnt.h, ntifs.h).
"""

from __future__ import annotations

from harness.virtual.cpu.traps import Continued, StatusRaised, Unwound
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.exceptions.callstack import call_stack
from harness.virtual.kernel.exceptions.records import CONTEXT_SIZE, context_record, registers_of
from harness.virtual.kernel.exceptions.stackwalk import leave_leaf, unwind_function
from harness.virtual.kernel.exceptions.unwindinfo import (
    BadUnwindInfo,
    ExceptionTable,
    find_function,
    read_function,
)
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_DATATYPE_MISALIGNMENT

__all__: list[str] = []

_BAD_FUNCTION_TABLE = 0xC000_00FF


@export("__C_specific_handler", 4)
def c_specific_handler(system: System, record: int, frame: int, context: int, dispatcher: int) -> int:
    raise Continued(system.exceptions.c_specific_handler(record, frame, context, dispatcher))


def _unwind(system: System, frame: int, target: int, record: int, value: int) -> Program[int]:
    return system.exceptions.unwind_from_export(frame=frame, target=target, record=record, value=value)


@export("RtlUnwindEx", 6)
def rtl_unwind_ex(
    system: System, frame: int, target: int, record: int, value: int, _context: int, _history: int
) -> int:
    raise Continued(_unwind(system, frame, target, record, value))


@export("RtlUnwind", 4)
def rtl_unwind(system: System, frame: int, target: int, record: int, value: int) -> int:
    raise Continued(_unwind(system, frame, target, record, value))


@export("_local_unwind", 2)
def local_unwind(system: System, frame: int, target: int) -> int:
    """What MSVC calls where a ``__try`` block with a ``__finally`` is left by ``return`` or ``goto``."""
    raise Continued(_unwind(system, frame, target, 0, 0))


@export("RtlLookupFunctionEntry", 3)
def rtl_lookup_function_entry(system: System, pc: int, image_base: int, _history: int) -> int:
    """NULL for a leaf function, and for an address in no driver: the kernel's own has no table here."""
    table = system.exception_table(pc)
    if table is None:
        system.memory.put_u64(image_base, 0)
        return 0
    system.memory.put_u64(image_base, table.base)
    try:
        function = find_function(system.memory.read, table, pc)
    except BadUnwindInfo:
        raise StatusRaised(_BAD_FUNCTION_TABLE) from None
    return 0 if function is None else function.address


@export("RtlVirtualUnwind", 8)
def rtl_virtual_unwind(
    system: System,
    kinds: int,
    image_base: int,
    pc: int,
    function: int,
    context: int,
    handler_data: int,
    establisher: int,
    _pointers: int,
) -> int:
    """The language handler of the kinds that are asked for (1 exceptions, 2 unwinds), or NULL."""
    memory = system.memory
    before = memory.load(context, CONTEXT_SIZE)
    registers = {**registers_of(before), "rip": pc}
    table = system.exception_table(pc) or ExceptionTable(image_base, 0, 0)
    try:
        frame = unwind_function(memory.read, table, read_function(memory.read, function), registers)
    except BadUnwindInfo:
        raise StatusRaised(_BAD_FUNCTION_TABLE) from None
    memory.store(context, before[:0x34] + context_record({**registers, **frame.caller})[0x34:])
    memory.put_u64(establisher, frame.establisher)
    handler = frame.handler
    if handler is None or not ((kinds & 1 and handler.for_exceptions) or (kinds & 2 and handler.for_unwinds)):
        return 0
    memory.put_u64(handler_data, handler.data)
    return handler.address


@export("RtlCaptureContext", 1)
def rtl_capture_context(system: System, context: int) -> None:
    """As if it had returned already. RAX is this call's."""
    registers = system.cpu.all_registers()
    system.memory.store(context, context_record(leave_leaf(system.memory.read, registers)))


@export("RtlRestoreContext", 2)
def rtl_restore_context(system: System, context: int, _record: int) -> int:
    registers = registers_of(system.memory.load(context, CONTEXT_SIZE))
    raise Continued(_go_on_with(registers))


def _go_on_with(registers: dict[str, int]) -> Program[int]:
    yield from ()
    raise Unwound(registers["rsp"], registers)


@export("RtlPcToFileHeader", 2)
def rtl_pc_to_file_header(system: System, pc: int, base: int) -> int:
    driver = system.module_at(pc)
    if driver is not None:
        found = driver.module.base
    else:
        found = system.image.base if system.is_kernel_code(pc) else 0
    system.memory.put_u64(base, found)
    return found


@export("ExRaiseDatatypeMisalignment", 0)
def ex_raise_datatype_misalignment(_system: System) -> None:
    raise StatusRaised(STATUS_DATATYPE_MISALIGNMENT)


@export("RtlCaptureStackBackTrace", "RtlWalkFrameChain", 4)
def rtl_capture_stack_back_trace(system: System, skip: int, count: int, trace: int, _hash: int) -> int:
    """The drivers' frames, the caller first; what the kernel called them from is none of them."""
    registers = leave_leaf(system.memory.read, system.cpu.all_registers())
    places = call_stack(
        system.memory.read, system.exception_table, registers, lambda at: system.module_at(at) is not None
    )
    found = places[skip & 0xFFFF_FFFF :][: count & 0xFFFF_FFFF]
    system.memory.store(trace, b"".join(place.to_bytes(8, "little") for place in found))
    return len(found)
