"""The checked string functions, letters, wildcards and handles, as the exports answer."""

from __future__ import annotations

import pytest
from booted import Booted

from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.kernel.exports.fsrtl import is_name_in_expression

BOOTED = Booted()
SYSTEM = BOOTED.kernel._system
ERANGE, EINVAL, STRUNCATE = 34, 22, 80
TRUNCATE = (1 << 64) - 1


def call(name: str, *arguments: int) -> int | None:
    return EXPORTS[name].handler(SYSTEM, *arguments)


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


COPIES = [
    ("wcscpy_s", (8,), (), 0, "name"),
    ("wcscpy_s", (5,), (), 0, "name"),
    ("wcscpy_s", (4,), (), ERANGE, ""),
    ("wcscpy_s", (0,), (), EINVAL, "old"),
    ("wcsncpy_s", (8,), (2,), 0, "na"),
    ("wcsncpy_s", (2,), (2,), ERANGE, ""),
    ("wcsncpy_s", (3,), (TRUNCATE,), STRUNCATE, "na"),
    ("wcscat_s", (8,), (), 0, "oldname"),
    ("wcscat_s", (7,), (), ERANGE, ""),
]


@pytest.mark.parametrize(("name", "size", "count", "result", "text"), COPIES)
def test_a_copy_fits_or_says_that_it_does_not(
    name: str, size: tuple[int, ...], count: tuple[int, ...], result: int, text: str
) -> None:
    destination, source = SYSTEM.heap.put(wide("old") + bytes(32)), SYSTEM.heap.put(wide("name"))
    assert call(name, destination, *size, source, *count) == result
    assert SYSTEM.memory.wide_string(destination, 16).decode("utf-16-le") == text


def test_memory_is_copied_where_it_fits_and_cleared_where_not() -> None:
    destination, source = SYSTEM.heap.put(b"12345678"), SYSTEM.heap.put(b"abcdefgh")
    assert call("memcpy_s", destination, 8, source, 4) == 0
    assert SYSTEM.memory.load(destination, 8) == b"abcd5678"
    assert call("memcpy_s", destination, 4, source, 8) == ERANGE
    assert SYSTEM.memory.load(destination, 8) == bytes(4) + b"5678"


def test_letters_become_small_and_nothing_else_changes() -> None:
    narrow, broad = SYSTEM.heap.put(b"Ab9_\xc4\0"), SYSTEM.heap.put(wide("Ab9_Ä"))
    assert call("_strlwr", narrow) == narrow and call("_wcslwr", broad) == broad
    assert SYSTEM.memory.c_string(narrow, 9) == b"ab9_\xc4"
    assert SYSTEM.memory.wide_string(broad, 9).decode("utf-16-le") == "ab9_Ä"


NAMES = [
    ("*", "", True),
    ("*.EXE", "NOTEPAD.EXE", True),
    ("*.EXE", "NOTEPAD.EXE.TXT", False),
    ("NOTE?AD.EXE", "NOTEPAD.EXE", True),
    ("?", "", False),
    ("*NOTEPAD*", "C:\\NOTEPAD.EXE", True),
    ("<.TXT", "A.B.TXT", True),
    ("<", "AB", True),
    ("<", "A.B", False),
    ("A>>.B", "A.B", True),
    ("A>>", "A", True),
    ("A>.B", "AXY.B", False),
    ('A"', "A", True),
    ('A"', "A.", True),
    ('A"', "A.B", False),
]


@pytest.mark.parametrize(("expression", "name", "matches"), NAMES)
def test_a_name_in_an_expression(expression: str, name: str, matches: bool) -> None:
    assert is_name_in_expression(expression, name) is matches


def test_case_is_ignored_where_it_is_asked_for() -> None:
    expression, name = SYSTEM.heap.unicode_string("*PAD.EXE"), SYSTEM.heap.unicode_string("notepad.exe")
    assert call("FsRtlIsNameInExpression", expression, name, 1, 0) == 1
    assert call("FsRtlIsNameInExpression", expression, name, 0, 0) == 0


def test_a_handle_by_pointer_holds_its_object_until_it_is_closed() -> None:
    process = SYSTEM.objects.process(4)
    before, place = process.references, SYSTEM.heap.put(bytes(8))
    assert call("ObOpenObjectByPointer", process.address, 0x200, 0, 0, 0, 0, place) == 0
    assert process.references == before + 1
    assert call("ZwClose", SYSTEM.memory.u64(place)) == 0
    assert process.references == before
    assert call("ObOpenObjectByPointer", 0x1234, 0x200, 0, 0, 0, 0, place) == 0xC0000024
