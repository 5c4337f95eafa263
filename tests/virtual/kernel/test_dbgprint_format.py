"""DbgPrint's format language, against a table and against Python's own formatting."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.cpu.engine import UnicornEngine
from harness.virtual.cpu.memory import Memory
from harness.virtual.cpu.traps import MemoryFault
from harness.virtual.kernel.dbgprint import compile_format, cut, render

BASE = 0xFFFF_9000_0000_0000
HOLE = 0xFFFF_9100_0000_0000
M1 = (1 << 64) - 1


def memory_with(content: bytes) -> Memory:
    memory = Memory(UnicornEngine())
    memory.map(BASE, 0x2000, content=content)
    return memory


MEMORY = memory_with(
    b"narrow\0".ljust(0x20, b"\0")
    + "wide\0".encode("utf-16-le").ljust(0x20, b"\0")
    + struct.pack("<HHIQ", 4, 10, 0, BASE).ljust(0x20, b"\0")
    + struct.pack("<HHIQ", 6, 10, 0, BASE + 0x20).ljust(0x20, b"\0")
    + struct.pack("<HHIQ", 6, 10, 0, 0).ljust(0x20, b"\0")
)
NARROW, WIDE, ANSI_STRING, UNICODE_STRING, NO_BUFFER = (BASE + 0x20 * i for i in range(5))


def formatted(form: bytes, *arguments: int, memory: Memory = MEMORY) -> bytes:
    return render(compile_format(form), arguments, memory)


TABLE = [
    (b"plain 100%%", (), b"plain 100%"),
    (b"%d %i", (M1, 0x1_0000_0005), b"-1 5"),
    (b"%u", (M1,), b"4294967295"),
    (b"%x %X %#x %#X %#x", (0xAB, 0xAB, 0xAB, 0xAB, 0), b"ab AB 0xab 0XAB 0"),
    (b"%o %#o", (8, 8), b"10 010"),
    (b"%5d|%-5d|%05d|%+d|% d", (7, 7, -7 & M1, 7, 7), b"    7|7    |-0007|+7| 7"),
    (b"%.3d|%8.3d|%.0d|%08.3d", (7, 7, 0, 7), b"007|     007||     007"),
    (b"%*d|%-*d|%*d", (4, 9, 4, 9, -4 & M1, 9), b"   9|9   |9   "),
    (b"%hd %hu", (0x1FFFF, 0x1FFFF), b"-1 65535"),
    (b"%ld %lu", (M1, M1), b"-1 4294967295"),
    (b"%lld %llx %I64d %I64u", (M1, M1, M1, M1), b"-1 ffffffffffffffff -1 18446744073709551615"),
    (b"%I32d %Id %Ix", (M1, M1, 0x1_0000_0000), b"-1 -1 100000000"),
    (b"%p|%20p", (0xABCDEF, 1), b"0000000000ABCDEF|    0000000000000001"),
    (b"%c%c|%3c|%-3c|", (0x41, 0x142, 0x43, 0x44), b"AB|  C|D  |"),
    (b"%C %lc %wc %hc", (0x20AC, 0x4E2D, 0x77, 0x68), b"\x80 ? w h"),
    (b"%s|%10s|%-8s|%.3s", (NARROW,) * 4, b"narrow|    narrow|narrow  |nar"),
    (b"%S %ls %ws %.2ws %hs", (WIDE, WIDE, WIDE, WIDE, NARROW), b"wide wide wide wi narrow"),
    (b"%hS", (NARROW,), b"narrow"),
    (b"%Z|%wZ|%lZ|%6Z", (ANSI_STRING, UNICODE_STRING, UNICODE_STRING, ANSI_STRING), b"narr|wid|wid|  narr"),
    (b"%s %ws %Z %wZ %wZ", (0, 0, 0, 0, NO_BUFFER), b"(null) (null) (null) (null) (null)"),
    (b"%n|", (NARROW,), b"|"),
    (b"%y%q", (), b"yq"),
    (b"%", (), b""),
    (b"%d %d", (1,), b"1 0"),
]


@pytest.mark.parametrize(("form", "arguments", "text"), TABLE, ids=[row[0].decode() for row in TABLE])
def test_table(form, arguments, text) -> None:
    assert formatted(form, *arguments) == text


def test_what_is_counted_before_the_call() -> None:
    form = compile_format(b"%*.*d %wZ")
    assert (form.words, form.unicode) == (4, True)
    assert not compile_format(b"%s %Z %hS %d").unicode


FLAGS = st.sampled_from(["", "-", "+", " ", "0", "-+", "+0", " 0"])


@given(FLAGS, st.integers(0, 30), st.none() | st.integers(0, 30), st.integers(-(1 << 31), (1 << 31) - 1))
def test_signed_integers_as_c_does(flags, width, precision, value) -> None:
    form = f"%{flags}{width or ''}{'' if precision is None else f'.{precision}'}d"
    expected = form % value
    if precision is not None and "0" in flags:
        # C ignores the 0 flag where there is a precision; Python does not.
        expected = form.replace("0", "", 1) % value if form[1:].startswith(flags) else expected
        expected = ("%" + flags.replace("0", "") + f"{width or ''}.{precision}d") % value
    if precision == 0 and value == 0:
        sign = "+" if "+" in flags else " " if " " in flags else ""
        expected = sign.ljust(width) if "-" in flags else sign.rjust(width)
    assert formatted(form.encode(), value & M1) == expected.encode()


@given(st.sampled_from("uxX"), st.integers(0, M1))
def test_unsigned_integers(kind, value) -> None:
    python = "d" if kind == "u" else kind
    assert formatted(f"%{kind}".encode(), value) == f"{value & 0xFFFFFFFF:{python}}".encode()
    assert formatted(f"%I64{kind}".encode(), value) == f"{value:{python}}".encode()


@given(st.binary(max_size=200).map(lambda b: b.replace(b"\0", b"")), st.integers(0, 60), st.integers(0, 60))
def test_narrow_strings(text, width, precision) -> None:
    memory = memory_with(text + b"\0")
    assert formatted(f"%-{width or ''}s|".encode(), BASE, memory=memory) == text.ljust(width) + b"|"
    assert formatted(b"%.*s", precision, BASE, memory=memory) == text[:precision]


@given(st.binary(max_size=60), st.lists(st.integers(0, M1), max_size=8))
def test_any_format_gives_text_or_a_fault(form, arguments) -> None:
    try:
        text = formatted(form, *arguments)
    except MemoryFault as fault:
        assert fault.access == "read"
    else:
        assert isinstance(text, bytes)


def test_a_string_that_is_not_mapped_faults() -> None:
    for form in (b"%s", b"%ws", b"%Z", b"%wZ"):
        with pytest.raises(MemoryFault) as caught:
            formatted(form, HOLE)
        assert caught.value.address == HOLE


def test_a_string_that_runs_off_its_page_faults_behind_it() -> None:
    memory = memory_with(b"x" * 0x2000)
    with pytest.raises(MemoryFault) as caught:
        formatted(b"%s", BASE + 0x1F00, memory=memory)
    assert caught.value.address == BASE + 0x2000
    assert formatted(b"%.5s", BASE + 0x1FFB, memory=memory) == b"xxxxx"


def test_a_print_is_cut_at_512_bytes_with_a_line_feed() -> None:
    assert cut(b"x" * 511) == b"x" * 511
    assert cut(b"x" * 512) == b"x" * 511 + b"\n"
    assert cut(b"x" * 5000) == b"x" * 511 + b"\n"
