"""Reads what an x64 image says of its functions' frames: RUNTIME_FUNCTION and UNWIND_INFO.

Everything comes out of the target's memory and may be damaged: what does not add up raises
:class:`BadUnwindInfo`. Sources: Microsoft, *x64 exception handling* (version 1 of UNWIND_INFO); version 2,
which Microsoft's compilers write and do not document, is version 1 with a list of the epilogs in front.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = [
    "MAX_CHAIN",
    "BadUnwindInfo",
    "Epilog",
    "ExceptionTable",
    "RuntimeFunction",
    "UnwindCode",
    "UnwindInfo",
    "UnwindOp",
    "find_function",
    "read_function",
    "read_unwind_info",
]

MAX_CHAIN: Final = 32
"""Links of chained unwind information that are followed; compilers make one or two."""

Read = Callable[[int, int], bytes]
"""``(address, size)``: the bytes that are mapped there, fewer where memory ends."""

_FUNCTION: Final = struct.Struct("<III")
_HEADER_SIZE: Final = 4
_VERSIONS: Final = (1, 2)
_HANDLERS: Final = 0x1 | 0x2
_CHAINED: Final = 0x4
_INDIRECT: Final = 0x1
"""Set in RUNTIME_FUNCTION.UnwindData: it is the RVA of another RUNTIME_FUNCTION that stands for this one."""
_AT_END: Final = 0x1
"""Set in the first UWOP_EPILOG: one epilog lies at the function's end."""


class BadUnwindInfo(Exception):
    """The unwind information is damaged, or of a version that nobody has seen."""


class UnwindOp:
    """Operations of unwind codes (Microsoft, *UNWIND_CODE*)."""

    PUSH_NONVOL: Final = 0
    ALLOC_LARGE: Final = 1
    ALLOC_SMALL: Final = 2
    SET_FPREG: Final = 3
    SAVE_NONVOL: Final = 4
    SAVE_NONVOL_FAR: Final = 5
    EPILOG: Final = 6
    SPARE_CODE: Final = 7
    SAVE_XMM128: Final = 8
    SAVE_XMM128_FAR: Final = 9
    PUSH_MACHFRAME: Final = 10


_SLOTS: Final = {
    UnwindOp.PUSH_NONVOL: 1,
    UnwindOp.ALLOC_SMALL: 1,
    UnwindOp.SET_FPREG: 1,
    UnwindOp.SAVE_NONVOL: 2,
    UnwindOp.SAVE_NONVOL_FAR: 3,
    UnwindOp.EPILOG: 1,
    UnwindOp.SAVE_XMM128: 2,
    UnwindOp.SAVE_XMM128_FAR: 3,
    UnwindOp.PUSH_MACHFRAME: 1,
}


class RuntimeFunction(NamedTuple):
    """One RUNTIME_FUNCTION of ``.pdata``."""

    address: int
    """Where it lies itself."""
    begin: int
    """RVA."""
    end: int
    """RVA behind its last byte."""
    unwind_data: int
    """RVA of its UNWIND_INFO."""


class UnwindCode(NamedTuple):
    """One thing that a prolog does; the last one comes first."""

    offset: int
    """Of the instruction behind it, from the function's begin."""
    operation: int
    """One of :class:`UnwindOp`."""
    register: int
    """Number of the register, or what else the operation's info is."""
    amount: int
    """Bytes that are allocated, or offset in bytes from where the frame begins."""


class Epilog(NamedTuple):
    """One epilog of version 2."""

    distance: int
    """Of its begin from the function's end."""
    size: int


class UnwindInfo(NamedTuple):
    """One UNWIND_INFO."""

    version: int
    prolog_size: int
    frame_register: int
    """0: none."""
    frame_offset: int
    """Bytes from RSP to where the frame register points when the prolog sets it."""
    codes: tuple[UnwindCode, ...]
    epilogs: tuple[Epilog, ...]
    exception_handler: bool
    """It is asked for a handler."""
    termination_handler: bool
    """It is told of an unwind."""
    handler: int
    """RVA of the language handler; 0: none."""
    handler_data: int
    """RVA of what belongs to it."""
    chained: RuntimeFunction | None
    """The function that this is a part of."""


class ExceptionTable(NamedTuple):
    """An image's ``.pdata``."""

    base: int
    """Of the image."""
    rva: int
    size: int
    """Bytes."""


def _read(read: Read, address: int, size: int) -> bytes:
    data = read(address, size)
    if len(data) != size:
        raise BadUnwindInfo(f"0x{address:x}+0x{size:x} is not mapped")
    return data


def read_function(read: Read, address: int) -> RuntimeFunction:
    """The RUNTIME_FUNCTION at ``address``.

    :raises BadUnwindInfo: nothing is mapped there.
    """
    return RuntimeFunction(address, *_FUNCTION.unpack(_read(read, address, _FUNCTION.size)))


def find_function(read: Read, table: ExceptionTable, address: int) -> RuntimeFunction | None:
    """The entry of the function that ``address`` lies in; None for a leaf function, which has none.

    :raises BadUnwindInfo: the table is damaged.
    """
    rva, start = address - table.base, table.base + table.rva
    low, high = 0, table.size // _FUNCTION.size
    while low < high:
        middle = (low + high) // 2
        entry = read_function(read, start + middle * _FUNCTION.size)
        if rva < entry.begin:
            high = middle
        elif rva >= entry.end:
            low = middle + 1
        else:
            return _resolved(read, table.base, entry)
    return None


def _resolved(read: Read, base: int, entry: RuntimeFunction) -> RuntimeFunction:
    for _ in range(MAX_CHAIN):
        if not entry.unwind_data & _INDIRECT:
            return entry
        entry = read_function(read, base + (entry.unwind_data & ~_INDIRECT))
    raise BadUnwindInfo("a RUNTIME_FUNCTION refers to others without end")


def read_unwind_info(read: Read, base: int, entry: RuntimeFunction) -> UnwindInfo:
    """The UNWIND_INFO of a function.

    :param base: of its image.
    :raises BadUnwindInfo: it is damaged.
    """
    start = base + entry.unwind_data
    first, prolog_size, count, frame = _read(read, start, _HEADER_SIZE)
    version, flags = first & 7, first >> 3
    if version not in _VERSIONS:
        raise BadUnwindInfo(f"UNWIND_INFO at 0x{start:x} has version {version}")
    codes, epilogs = _codes(_read(read, start + _HEADER_SIZE, 2 * count), version, frame)
    behind = entry.unwind_data + _HEADER_SIZE + 2 * (count + count % 2)
    handler = handler_data = 0
    chained = None
    if flags & _CHAINED:
        chained = _resolved(read, base, read_function(read, base + behind))
    elif flags & _HANDLERS:
        handler = int.from_bytes(_read(read, base + behind, 4), "little")
        handler_data = behind + 4
    return UnwindInfo(
        version=version,
        prolog_size=prolog_size,
        frame_register=frame & 0xF,
        frame_offset=(frame >> 4) * 16,
        codes=codes,
        epilogs=epilogs,
        exception_handler=bool(handler) and bool(flags & 0x1),
        termination_handler=bool(handler) and bool(flags & 0x2),
        handler=handler,
        handler_data=handler_data,
        chained=chained,
    )


def _codes(raw: bytes, version: int, frame: int) -> tuple[tuple[UnwindCode, ...], tuple[Epilog, ...]]:
    words = [(raw[at], raw[at + 1] & 0xF, raw[at + 1] >> 4) for at in range(0, len(raw), 2)]
    slots = struct.unpack(f"<{len(words)}H", raw)
    codes: list[UnwindCode] = []
    epilogs: list[Epilog] = []
    epilog_size = 0
    at = 0
    while at < len(words):
        offset, operation, info = words[at]
        used = (3 if info else 2) if operation == UnwindOp.ALLOC_LARGE else _SLOTS.get(operation, 0)
        if not used or at + used > len(words) or (operation == UnwindOp.EPILOG and version == 1):
            raise BadUnwindInfo(f"unwind code {operation}, {info} at slot {at} of {len(words)}")
        operand = slots[at + 1] if used == 2 else (slots[at + 1] | slots[at + 2] << 16 if used == 3 else 0)
        if operation == UnwindOp.EPILOG:
            if not epilog_size:
                epilog_size = offset
                if info & _AT_END:
                    epilogs.append(Epilog(offset, offset))
            elif distance := offset | info << 8:
                epilogs.append(Epilog(distance, epilog_size))
        else:
            codes.append(UnwindCode(offset, operation, info, _amount(operation, info, operand, frame)))
        at += used
    return tuple(codes), tuple(epilogs)


def _amount(operation: int, info: int, operand: int, frame: int) -> int:
    match operation:
        case UnwindOp.ALLOC_SMALL:
            return 8 * info + 8
        case UnwindOp.ALLOC_LARGE:
            return operand if info else 8 * operand
        case UnwindOp.SAVE_NONVOL:
            return 8 * operand
        case UnwindOp.SAVE_XMM128:
            return 16 * operand
        case UnwindOp.SAVE_NONVOL_FAR | UnwindOp.SAVE_XMM128_FAR:
            return operand
        case UnwindOp.SET_FPREG:
            return (frame >> 4) * 16
    return 0
