"""I/O control codes, written as a driver's header has them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.controlcodes import ACCESSES, DEVICE_TYPES, METHODS, control_code
from harness.toolchain.ziglang import package_dir

_DEFINITION = re.compile(r"^\s*#\s*define (\w+)\s+\(?\s*(0x[0-9a-fA-F]+|\d+)\s*\)?\s*$", re.MULTILINE)
HEADERS = package_dir() / "lib" / "libc" / "include" / "any-windows-any"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0x222000", 0x22_2000),
        ("2236416UL", 0x22_2000),
        ("CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)", 0x22_2000),
        ("CTL_CODE( 0x8000 ,2048, METHOD_NEITHER, FILE_READ_ACCESS | FILE_WRITE_ACCESS )", 0x8000_E003),
        ("CTL_CODE(FILE_DEVICE_DISK, 0, METHOD_BUFFERED, FILE_READ_DATA)", 0x7_4000),
        ("CTL_CODE(0xffff, 0xfff, 3, 3)", 0xFFFF_FFFF),
    ],
)
def test_a_code_is_what_the_macro_makes_of_it(text: str, code: int) -> None:
    assert control_code(text) == code


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a number or CTL_CODE(type, function, method, access)"),
        ("IOCTL_MINE", "'IOCTL_MINE' is not a number or CTL_CODE(type, function, method, access)"),
        ("0x1ffffffff", "'0x1ffffffff' is not a number or CTL_CODE(type, function, method, access)"),
        (
            "4294967296",
            "4294967296 is not a number or CTL_CODE(type, function, method, access): at most 0xffffffff",
        ),
        ("CTL_CODE(1, 2, 3)", "CTL_CODE takes device type, function, method and access, not 3 words"),
        ("CTL_CODE(FILE_DEVICE_MINE, 0, 0, 0)", "'FILE_DEVICE_MINE' is not a device type"),
        ("CTL_CODE(1, 0x1000, 0, 0)", "0x1000 is not a function: at most 0xfff"),
        (
            "CTL_CODE(1, 0, METHOD_DIRECT, 0)",
            "'METHOD_DIRECT' is not a method; known are METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_OUT_DIRECT,"
            " METHOD_NEITHER",
        ),
        ("CTL_CODE(1, 0, 0, 4)", "4 is not an access: at most 0x3"),
    ],
)
def test_what_is_none_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        control_code(text)


@pytest.mark.parametrize("table", [DEVICE_TYPES, METHODS, ACCESSES], ids=["types", "methods", "accesses"])
def test_the_numbers_are_those_of_the_headers(table: dict[str, int]) -> None:
    text = (HEADERS / "winioctl.h").read_text(encoding="utf-8", errors="replace")
    text += (HEADERS / "winnt.h").read_text(encoding="utf-8", errors="replace")
    defined = {name: int(value, 0) for name, value in _DEFINITION.findall(text)}
    known = {name: number for name, number in table.items() if name in defined}
    assert len(known) >= len(table) // 2
    assert known == {name: defined[name] for name in known}


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFF), st.integers(0, 3), st.integers(0, 3))
def test_the_four_words_can_be_read_back(device: int, function: int, method: int, access: int) -> None:
    code = control_code(f"CTL_CODE({device}, 0x{function:X}, {method}, {access})")
    assert (code >> 16, code >> 2 & 0xFFF, code & 3, code >> 14 & 3) == (device, function, method, access)
