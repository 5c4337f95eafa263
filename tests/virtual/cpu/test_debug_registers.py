"""What the debug registers enable, and what of it is the processor's own."""

from __future__ import annotations

import pytest

from harness.virtual.cpu.debugregisters import DebugRegisters

ADDRESS = 0xFFFF_F803_3000_1005


def enabled(**values: int) -> list[tuple[int, int, int, int]]:
    registers = DebugRegisters()
    registers.update(values)
    return [tuple(each) for each in registers.breakpoints()]


@pytest.mark.parametrize("enable", [0b01, 0b10, 0b11])
@pytest.mark.parametrize("number", range(4))
def test_each_is_enabled_locally_or_globally(number: int, enable: int) -> None:
    assert enabled(**{f"dr{number}": ADDRESS, "dr7": enable << 2 * number}) == [
        (0, ADDRESS, ADDRESS + 1, 1 << number)
    ]


@pytest.mark.parametrize(
    ("dr7", "low", "size"),
    [(0x0001_0001, 0x1005, 1), (0x0005_0001, 0x1004, 2), (0x000D_0001, 0x1004, 4), (0x0009_0001, 0x1000, 8)],
)
def test_an_access_is_watched_where_its_length_aligns_the_address(dr7: int, low: int, size: int) -> None:
    start = ADDRESS & ~0xFFFF | low
    assert enabled(dr0=ADDRESS, dr7=dr7) == [(1, start, start + size, 1)]


@pytest.mark.parametrize("dr7", [0x400, 0x0002_0001, 0xFFFF_0000])
def test_ports_and_what_is_not_enabled_are_no_breakpoints(dr7: int) -> None:
    assert enabled(dr0=ADDRESS, dr1=ADDRESS, dr7=dr7) == []


def test_bits_that_are_fixed_cannot_be_changed() -> None:
    registers = DebugRegisters()
    assert registers.all() == {"dr0": 0, "dr1": 0, "dr2": 0, "dr3": 0, "dr6": 0xFFFF_0FF0, "dr7": 0x400}
    registers.update({"dr6": 0, "dr7": 0, "rax": 1})
    assert (registers.all()["dr6"], registers.all()["dr7"]) == (0xFFFF_0FF0, 0x400)
    registers.update({"dr6": (1 << 64) - 1, "dr7": (1 << 64) - 1})
    assert (registers.all()["dr6"], registers.all()["dr7"]) == (0xFFFF_EFFF, 0xFFFF_2FFF)


def test_why_it_stopped_stays_until_software_clears_it() -> None:
    registers = DebugRegisters()
    registers.note(1)
    registers.note(4)
    assert registers.all()["dr6"] == 0xFFFF_0FF5
    registers.update({"dr6": 0})
    assert registers.all()["dr6"] == 0xFFFF_0FF0
