"""What is made of dbghelp.dll's answers; that it answers as symbolic does is in test_symbols.py."""

from __future__ import annotations

import sys

import pytest

from harness.dbghelp import CodeLine, CodeLines, own_frame, pdb_name, read_lines
from harness.toolchain import default_driver


def test_an_address_has_the_line_whose_stretch_it_lies_in() -> None:
    second, first = CodeLine(0x20, 0x28, "B", "b.c", 2), CodeLine(0x10, 0x18, "A", "a.c", 1)
    lines = CodeLines([second, first])
    found = {rva: lines.at(rva) for rva in (0x0F, 0x10, 0x17, 0x18, 0x1F, 0x20, 0x27, 0x28)}
    assert found == {
        0x0F: None,
        0x10: first,
        0x17: first,
        0x18: None,
        0x1F: None,
        0x20: second,
        0x27: second,
        0x28: None,
    }
    assert CodeLines([]).at(0) is None


def test_of_inlined_code_the_drivers_own_line_is_told() -> None:
    header, inner, outer = ("ListNext", "C:\\wdm.H", 7), ("Walk", "d.c", 8), ("DriverEntry", "d.c", 9)
    assert own_frame([header, inner, outer]) == inner
    assert own_frame([header]) == header


def test_a_driver_names_its_pdb_and_nothing_outside_its_folder() -> None:
    image = default_driver().path.read_bytes()
    name = pdb_name(image)
    assert name is not None and name.endswith(".pdb")
    raw = name.encode()
    for other, found in (
        (b"..\\" + raw[3:], name[3:]),
        (b"C:/" + raw[3:], name[3:]),
        (raw[:-4] + b".exe", None),
        (b"a<b" + raw[3:], None),
        (b"\x01" + raw[1:], None),
        (b"\xff" + raw[1:], None),
    ):
        assert len(other) == len(raw)
        assert pdb_name(image.replace(raw + b"\0", other + b"\0")) == found, other
    for damaged in (b"", b"MZ", image[:0x200], image[: len(image) // 2]):
        pdb_name(damaged)  # does not raise


@pytest.mark.skipif(sys.platform == "win32", reason="dbghelp.dll is there")
def test_without_the_library_nothing_is_known() -> None:
    path = default_driver().path
    assert read_lines(path.read_bytes(), path.with_suffix(".pdb").read_bytes()) is None
