"""From a frame to that of its caller: what RtlVirtualUnwind does, on registers by name.

Sources: Microsoft, *x64 exception handling* (the unwind procedure), *x64 prolog and epilog* (which
instructions an epilog may have).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from harness.virtual.kernel.exceptions.unwindinfo import (
    MAX_CHAIN,
    BadUnwindInfo,
    ExceptionTable,
    Read,
    RuntimeFunction,
    UnwindInfo,
    UnwindOp,
    find_function,
    read_unwind_info,
)

__all__ = [
    "FunctionFrame",
    "LanguageHandler",
    "Registers",
    "TableOf",
    "frame_at",
    "leave_leaf",
    "unwind_function",
]

Registers = dict[str, int]
TableOf = Callable[[int], ExceptionTable | None]
"""The exception table of the image that an address lies in; None where no image is, or it has none."""

GENERAL: Final = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *(f"r{number}" for number in range(8, 16)),
)
"""Their numbers in machine code and in unwind codes."""
_MASK: Final = (1 << 64) - 1
_MAX_EPILOG: Final = 64
"""Bytes that are looked at for the rest of an epilog; eight pops and a return take 20."""
_RSP: Final = 4


class LanguageHandler(NamedTuple):
    """A language handler and what it is given."""

    address: int
    data: int
    """Address of its data."""
    for_exceptions: bool
    for_unwinds: bool


class FunctionFrame(NamedTuple):
    """One function's frame."""

    control_pc: int
    """Where it executes, or will when what it called returns."""
    image_base: int
    """0 for a leaf function."""
    function: RuntimeFunction | None
    establisher: int
    """EstablisherFrame: the fixed end of its frame."""
    handler: LanguageHandler | None
    """Where one is in force at ``control_pc``."""
    caller: Registers
    """The registers of its caller, behind the call."""


def frame_at(read: Read, table_of: TableOf, registers: Mapping[str, int]) -> FunctionFrame:
    """The frame of the function in which RIP is.

    :raises BadUnwindInfo: its unwind information is damaged, or its stack is not mapped.
    """
    pc = registers["rip"]
    table = table_of(pc)
    function = None if table is None else find_function(read, table, pc)
    if table is None or function is None:
        return FunctionFrame(pc, 0, None, registers["rsp"], None, leave_leaf(read, registers))
    return unwind_function(read, table, function, registers)


def leave_leaf(read: Read, registers: Mapping[str, int]) -> Registers:
    """The caller's registers of a function that has no frame: its return address is on top."""
    rsp = registers["rsp"]
    return {**registers, "rip": _u64(read, rsp), "rsp": (rsp + 8) & _MASK}


def unwind_function(
    read: Read, table: ExceptionTable, function: RuntimeFunction, registers: Mapping[str, int]
) -> FunctionFrame:
    """The frame of ``function``, an entry of ``table``; see :func:`frame_at`."""
    base, pc, now = table.base, registers["rip"], dict(registers)
    info = read_unwind_info(read, base, function)
    offset = pc - base - function.begin
    establisher = _establisher(info, offset, now)
    in_prolog = offset < info.prolog_size and info.chained is None
    if not in_prolog and _may_be_epilog(info, function, pc - base):
        caller = _leave_by_epilog(read, pc, table, function, now)
        if caller is not None:
            return FunctionFrame(pc, base, function, establisher, None, caller)
    entry, part = function, info
    pushed = _undo(read, part, now, offset if part is info else None, establisher)
    for _ in range(MAX_CHAIN):
        if part.chained is None:
            break
        entry = part.chained
        part = read_unwind_info(read, base, entry)
        pushed = _undo(read, part, now, None, establisher) or pushed
    else:
        raise BadUnwindInfo("chained unwind information has no end")
    caller = now if pushed else leave_leaf(read, now)
    handler = None
    if part.handler and not in_prolog:
        handler = LanguageHandler(
            base + part.handler,
            base + part.handler_data,
            part.exception_handler,
            part.termination_handler,
        )
    return FunctionFrame(pc, base, entry, establisher, handler, caller)


def _establisher(info: UnwindInfo, offset: int, registers: Registers) -> int:
    if not info.frame_register:
        return registers["rsp"]
    set_at = next((code.offset for code in info.codes if code.operation == UnwindOp.SET_FPREG), None)
    if offset >= info.prolog_size or info.chained is not None or (set_at is not None and offset >= set_at):
        return (registers[GENERAL[info.frame_register]] - info.frame_offset) & _MASK
    return registers["rsp"]


def _undo(read: Read, info: UnwindInfo, registers: Registers, offset: int | None, frame: int) -> bool:
    """Take back what the prolog has done until ``offset``, None: all; whether it pushed a machine frame.

    :param frame: what saved registers' offsets count from.
    """
    for code in info.codes:
        if offset is not None and offset < code.offset:
            continue
        rsp = registers["rsp"]
        match code.operation:
            case UnwindOp.PUSH_NONVOL:
                registers[GENERAL[code.register]] = _u64(read, rsp)
                registers["rsp"] = (rsp + 8) & _MASK
            case UnwindOp.ALLOC_SMALL | UnwindOp.ALLOC_LARGE:
                registers["rsp"] = (rsp + code.amount) & _MASK
            case UnwindOp.SET_FPREG:
                registers["rsp"] = (registers[GENERAL[info.frame_register]] - code.amount) & _MASK
            case UnwindOp.SAVE_NONVOL | UnwindOp.SAVE_NONVOL_FAR:
                registers[GENERAL[code.register]] = _u64(read, frame + code.amount)
            case UnwindOp.SAVE_XMM128 | UnwindOp.SAVE_XMM128_FAR:
                registers[f"xmm{code.register}"] = _number(read, frame + code.amount, 16)
            case UnwindOp.PUSH_MACHFRAME:
                at = rsp + 8 * (code.register & 1)
                registers["rip"], registers["rsp"] = _u64(read, at), _u64(read, at + 24)
                return True
    return False


def _may_be_epilog(info: UnwindInfo, function: RuntimeFunction, rva: int) -> bool:
    """Version 1 does not say where epilogs are: the instructions tell."""
    if info.version == 1:
        return True
    distance = function.end - rva
    return any(epilog.distance - epilog.size < distance <= epilog.distance for epilog in info.epilogs)


def _leave_by_epilog(
    read: Read, pc: int, table: ExceptionTable, function: RuntimeFunction, before: Registers
) -> Registers | None:
    """The caller's registers, if what comes next is the rest of an epilog: it is executed."""
    code = read(pc, _MAX_EPILOG)
    registers = dict(before)
    at, first = 0, True
    while at < len(code):
        rest = code[at:]
        if (pop := _pop(rest)) is not None:
            size, number = pop
            rsp = registers["rsp"]
            registers[GENERAL[number]] = _u64(read, rsp)
            if number != _RSP:
                registers["rsp"] = (rsp + 8) & _MASK
        elif first and (freed := _freed(rest, registers)) is not None:
            size, registers["rsp"] = freed
        elif _returns(rest):
            return leave_leaf(read, registers)
        elif (jump := _jump(rest)) is not None:
            leaves = _is_elsewhere(read, table, function, pc + at + jump)
            return leave_leaf(read, registers) if leaves else None
        else:
            return None
        at, first = at + size, False
    return None


def _pop(code: bytes) -> tuple[int, int] | None:
    """``pop r64``: its length and the register's number."""
    if code[0] & 0xF8 == 0x58:
        return 1, code[0] & 7
    if len(code) > 1 and code[0] & 0xF0 == 0x40 and code[1] & 0xF8 == 0x58:
        return 2, code[1] & 7 | (code[0] & 1) << 3
    return None


def _freed(code: bytes, registers: Registers) -> tuple[int, int] | None:
    """``add rsp, n`` or ``lea rsp, [frame register + n]``: its length and RSP behind it."""
    if code[:3] == b"\x48\x83\xc4" and len(code) >= 4:
        return 4, (registers["rsp"] + struct.unpack_from("<b", code, 3)[0]) & _MASK
    if code[:3] == b"\x48\x81\xc4" and len(code) >= 7:
        return 7, (registers["rsp"] + struct.unpack_from("<i", code, 3)[0]) & _MASK
    if code[:1] in (b"\x48", b"\x49") and code[1:2] == b"\x8d" and len(code) >= 8:
        mode, target, source = code[2] >> 6, code[2] >> 3 & 7, code[2] & 7
        if target != _RSP or source == _RSP or mode not in (1, 2):
            return None
        (displacement,) = struct.unpack_from("<b" if mode == 1 else "<i", code, 3)
        from_register = registers[GENERAL[source | (code[0] & 1) << 3]]
        return (4 if mode == 1 else 7), (from_register + displacement) & _MASK
    return None


def _returns(code: bytes) -> bool:
    """``ret``, or a jump through a pointer that only a tail call is encoded like."""
    if code[0] in (0xC3, 0xC2) or code[:2] in (b"\xf3\xc3", b"\xff\x25"):
        return True
    return code[0] & 0xF8 == 0x48 and (
        code[1:3] == b"\xff\x25" or (code[1:2] == b"\xff" and code[2] & 0xF8 == 0xE0)
    )


def _jump(code: bytes) -> int | None:
    """``jmp``: how far from its own address."""
    if code[0] == 0xEB and len(code) >= 2:
        return 2 + int(struct.unpack_from("<b", code, 1)[0])
    if code[0] == 0xE9 and len(code) >= 5:
        return 5 + int(struct.unpack_from("<i", code, 1)[0])
    return None


def _is_elsewhere(read: Read, table: ExceptionTable, function: RuntimeFunction, target: int) -> bool:
    """A jump there leaves the function: that is a tail call. Into another part of it, it is none."""
    if function.begin <= target - table.base < function.end:
        return target - table.base == function.begin
    there = find_function(read, table, target)
    if there is None or there.begin == target - table.base:
        return True
    return _primary(read, table, there) != _primary(read, table, function)


def _primary(read: Read, table: ExceptionTable, part: RuntimeFunction) -> int:
    """RVA of the function that ``part`` belongs to."""
    for _ in range(MAX_CHAIN):
        chained = read_unwind_info(read, table.base, part).chained
        if chained is None:
            return part.begin
        part = chained
    raise BadUnwindInfo("chained unwind information has no end")


def _number(read: Read, address: int, size: int) -> int:
    data = read(address & _MASK, size)
    if len(data) != size:
        raise BadUnwindInfo(f"the stack at 0x{address:x} is not mapped")
    return int.from_bytes(data, "little")


def _u64(read: Read, address: int) -> int:
    return _number(read, address, 8)
