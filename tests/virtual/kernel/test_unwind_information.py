"""Frames by UNWIND_INFO: every operation, epilogs, chained parts, and damaged tables."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.kernel.exceptions.scopes import read_scopes
from harness.virtual.kernel.exceptions.stackwalk import GENERAL, FunctionFrame, frame_at
from harness.virtual.kernel.exceptions.unwindinfo import (
    BadUnwindInfo,
    ExceptionTable,
    RuntimeFunction,
    UnwindOp,
    find_function,
    read_unwind_info,
)

BASE, STACK = 0x10000, 0x80000
PDATA, INFO, PART = 0x1000, 0x2000, 0x2800
BEGIN, END = 0x3000, 0x3100
RETURN = 0x7777


class Image:
    """64 KB of image and 4 KB of stack."""

    def __init__(self, info: bytes, *, code: bytes = b"", part: bytes = b"") -> None:
        self.image, self.stack = bytearray(0x10000), bytearray(0x1000)
        functions = [(BEGIN, END, INFO), *([(END, END + 0x40, PART)] if part else [])]
        for number, entry in enumerate(functions):
            struct.pack_into("<III", self.image, PDATA + 12 * number, *entry)
        self.size = 12 * len(functions)
        self.image[INFO : INFO + len(info)] = info
        self.image[PART : PART + len(part)] = part
        self.image[BEGIN : BEGIN + len(code)] = code

    def read(self, address: int, size: int) -> bytes:
        for start, memory in ((BASE, self.image), (STACK, self.stack)):
            if start <= address < start + len(memory):
                return bytes(memory[address - start : address - start + size])
        return b""

    def frame(self, rva: int, **registers: int) -> FunctionFrame:
        known = dict.fromkeys((*GENERAL, *(f"xmm{n}" for n in range(16))), 0)
        known |= {"rip": BASE + rva, "rsp": STACK, **registers}
        return frame_at(self.read, lambda _: ExceptionTable(BASE, PDATA, self.size), known)

    def push(self, at: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.stack, at, *words)


def info(
    *codes: tuple[int, int, int] | int, prolog: int = 0x10, frame: int = 0, flags: int = 0, version: int = 1
) -> bytes:
    """UNWIND_INFO; a code is (offset, operation, info), a number fills a slot."""
    slots = b"".join(
        struct.pack("<H", code) if isinstance(code, int) else bytes((code[0], code[1] | code[2] << 4))
        for code in codes
    )
    count = len(slots) // 2
    return bytes((version | flags << 3, prolog, count, frame)) + slots + bytes(2 * (count % 2))


def test_pushes_and_allocations_are_taken_back() -> None:
    codes = ((8, UnwindOp.ALLOC_SMALL, 3), (4, UnwindOp.PUSH_NONVOL, 6), (2, UnwindOp.PUSH_NONVOL, 13))
    image = Image(info(*codes))
    image.push(0x20, 0x66, 0x1313, RETURN)
    caller = image.frame(BEGIN + 0x20).caller
    assert (caller["rsi"], caller["r13"], caller["rip"], caller["rsp"]) == (
        0x66,
        0x1313,
        RETURN,
        STACK + 0x38,
    )


@pytest.mark.parametrize(
    ("codes", "size"),
    [
        (((4, UnwindOp.ALLOC_LARGE, 0), 0x100 // 8), 0x100),
        (((4, UnwindOp.ALLOC_LARGE, 1), 0x808, 0), 0x808),
        (((4, UnwindOp.ALLOC_SMALL, 15),), 0x80),
    ],
)
def test_an_allocation_of_each_size(codes: tuple[tuple[int, int, int] | int, ...], size: int) -> None:
    image = Image(info(*codes))
    image.push(size, RETURN)
    caller = image.frame(BEGIN + 0x20).caller
    assert (caller["rip"], caller["rsp"]) == (RETURN, STACK + size + 8)


def test_saved_registers_are_read_where_they_were_saved() -> None:
    codes = (
        *((12, UnwindOp.SAVE_XMM128_FAR, 7), 0x40, 0),
        *((11, UnwindOp.SAVE_XMM128, 6), 0x30 // 16),
        *((10, UnwindOp.SAVE_NONVOL_FAR, 12), 0x28, 0),
        *((9, UnwindOp.SAVE_NONVOL, 3), 0x20 // 8),
        (4, UnwindOp.ALLOC_SMALL, 9),
    )
    image = Image(info(*codes))
    image.push(0x20, 0x33, 0x1212, 0x66, 0x6666, 0x77, 0x7777, RETURN)
    caller = image.frame(BEGIN + 0x20).caller
    assert (caller["rbx"], caller["r12"]) == (0x33, 0x1212)
    assert (caller["xmm6"], caller["xmm7"]) == (0x6666 << 64 | 0x66, 0x7777 << 64 | 0x77)
    assert caller["rip"] == RETURN


def test_a_frame_register_says_where_the_frame_is() -> None:
    codes = ((8, UnwindOp.SET_FPREG, 0), (4, UnwindOp.ALLOC_SMALL, 5), (1, UnwindOp.PUSH_NONVOL, 5))
    image = Image(info(*codes, frame=5 | 2 << 4))
    image.push(0x430, 0x55, RETURN)
    frame = image.frame(BEGIN + 0x20, rbp=STACK + 0x420, rsp=STACK + 0x100)
    assert frame.establisher == STACK + 0x400
    assert (frame.caller["rbp"], frame.caller["rip"]) == (0x55, RETURN)


def test_in_the_prolog_only_what_was_done_is_taken_back() -> None:
    codes = ((8, UnwindOp.ALLOC_SMALL, 3), (2, UnwindOp.PUSH_NONVOL, 6))
    image = Image(info(*codes, flags=1) + struct.pack("<I", BEGIN))
    image.push(0, 0x66, RETURN)
    frame = image.frame(BEGIN + 4)
    assert (frame.caller["rsi"], frame.caller["rip"]) == (0x66, RETURN)
    assert frame.handler is None, "a prolog has no handler"


@pytest.mark.parametrize("with_error_code", [0, 1])
def test_a_machine_frame_is_left_with_its_own_stack_pointer(with_error_code: int) -> None:
    image = Image(info((0, UnwindOp.PUSH_MACHFRAME, with_error_code)))
    image.push(8 * with_error_code, RETURN, 0x10, 0x202, STACK + 0x500, 0x18)
    caller = image.frame(BEGIN + 0x20).caller
    assert (caller["rip"], caller["rsp"]) == (RETURN, STACK + 0x500)


EPILOGS = {
    "before-the-deallocation": (b"\x48\x83\xc4\x20\x5e\xc3", 0x20),
    "long-deallocation": (b"\x48\x81\xc4\x20\0\0\0\x5e\xc3", 0x20),
    "before-the-pop": (b"\x5e\xc3", 0),
    "pop-of-a-high-register": (b"\x41\x5d\xc3", 0),
    "tail-call": (b"\x5e\xe9\x00\x10\0\0", 0),
    "tail-call-through-a-pointer": (b"\x5e\x48\xff\xe0", 0),
    "return-with-a-prefix": (b"\x5e\xf3\xc3", 0),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", EPILOGS)
def test_the_rest_of_an_epilog_is_executed(name: str, version: int) -> None:
    code, at = EPILOGS[name]
    codes: tuple[tuple[int, int, int], ...] = ((8, UnwindOp.ALLOC_SMALL, 3), (2, UnwindOp.PUSH_NONVOL, 6))
    if version == 2:
        distance = END - BEGIN - 0x80
        listed = (0x10, UnwindOp.EPILOG, 0), (distance & 0xFF, UnwindOp.EPILOG, distance >> 8)
        codes = (*listed, *codes)
    image = Image(info(*codes, version=version, flags=1) + struct.pack("<I", BEGIN), code=bytes(0x80) + code)
    image.push(at, 0x66, RETURN)
    frame = image.frame(BEGIN + 0x80)
    register = "r13" if "high" in name else "rsi"
    assert (frame.caller[register], frame.caller["rip"], frame.handler) == (0x66, RETURN, None)


def test_version_2_says_where_epilogs_are_not() -> None:
    codes = ((0x10, UnwindOp.EPILOG, 1), (0, UnwindOp.EPILOG, 0), (2, UnwindOp.PUSH_NONVOL, 6))
    image = Image(info(*codes, version=2), code=bytes(0x80) + b"\xc3")
    image.push(0, 0x66, RETURN)
    assert image.frame(BEGIN + 0x80).caller["rip"] == RETURN


def test_a_chained_part_takes_back_what_its_function_did() -> None:
    whole = info((2, UnwindOp.PUSH_NONVOL, 6), flags=1) + struct.pack("<I", 0x3800)
    part = info((4, UnwindOp.ALLOC_SMALL, 3), prolog=4, flags=4)
    part = part[: 4 + 4] + struct.pack("<III", BEGIN, END, INFO)
    image = Image(whole, part=part)
    image.image[END + 0x20 : END + 0x25] = b"\xe9" + struct.pack("<i", BEGIN + 0x40 - (END + 0x25))
    image.push(0x20, 0x66, RETURN)
    frame = image.frame(END + 0x20)
    assert (frame.caller["rsi"], frame.caller["rip"]) == (0x66, RETURN), "a jump back is no epilog"
    assert frame.function is not None and frame.function.begin == BEGIN
    assert frame.handler is not None and frame.handler.address == BASE + 0x3800


def test_what_has_no_entry_is_a_leaf() -> None:
    image = Image(info())
    image.push(0, RETURN)
    frame = image.frame(0x5000)
    assert (frame.function, frame.caller["rip"], frame.caller["rsp"]) == (None, RETURN, STACK + 8)


BAD = {
    "version-0": info(version=0),
    "version-3": info(version=3),
    "unknown-operation": info((0, 11, 0)),
    "epilog-in-version-1": info((0, UnwindOp.EPILOG, 0)),
    "operand-cut-off": info((0, UnwindOp.ALLOC_LARGE, 1), 0),
    "chained-to-itself": info(flags=4) + struct.pack("<III", BEGIN, END, INFO),
    "registers-beyond-the-stack": info((0, UnwindOp.SAVE_NONVOL_FAR, 3), 0, 0x7FFF),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_information_is_said_to_be(name: str) -> None:
    with pytest.raises(BadUnwindInfo):
        Image(BAD[name]).frame(BEGIN + 0x20)


def test_a_scope_table_of_any_length_is_not_believed() -> None:
    image = Image(b"\xff" * 8)
    with pytest.raises(BadUnwindInfo, match="4294967295 entries"):
        read_scopes(image.read, BASE + INFO)


@given(st.binary(max_size=80), st.binary(max_size=24), st.integers(0, 0xFF))
def test_bytes_are_read_or_refused_never_worse(raw: bytes, code: bytes, offset: int) -> None:
    image = Image(raw, code=bytes(offset) + code, part=raw[::-1])
    with contextlib.suppress(BadUnwindInfo):
        image.frame(BEGIN + offset)
    with contextlib.suppress(BadUnwindInfo):
        read_unwind_info(image.read, BASE, RuntimeFunction(0, BEGIN, END, INFO))
    with contextlib.suppress(BadUnwindInfo):
        find_function(image.read, ExceptionTable(BASE, INFO, 0x60), BASE + offset)
    with contextlib.suppress(BadUnwindInfo):
        read_scopes(image.read, BASE + INFO)
