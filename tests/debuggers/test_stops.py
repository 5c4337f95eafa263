"""What stops are called and how they are counted, and which image an address lies in."""

from __future__ import annotations

import pytest

from harness.debuggers.base import Module, ModuleLoaded, TargetRebooted
from harness.debuggers.images import MAX_READINGS, LoadedImages
from harness.debuggers.stops import MAX_STOPS_TOLD, StopTally, continue_status, exception_stop
from harness.errors import UsageError
from harness.kd.status import DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, DBG_CONTINUE),
        (0x80000003, DBG_CONTINUE),
        (0x80000004, DBG_CONTINUE),
        (0xC0000005, DBG_EXCEPTION_NOT_HANDLED),
        (0xC0000420, DBG_EXCEPTION_NOT_HANDLED),
    ],
)
def test_whose_an_exception_is(code: int, status: int) -> None:
    assert continue_status(code) == status


def test_stops_are_counted_and_each_is_told_once() -> None:
    tally = StopTally()
    for address in range(MAX_STOPS_TOLD + 3):
        for _ in range(2):
            tally.add(exception_stop(0xC0000005, address, first_chance=True), "a.sys+0x1")
    assert len(tally) == 2 * (MAX_STOPS_TOLD + 3)
    lines = tally.lines()
    assert len(lines) == MAX_STOPS_TOLD + 1
    assert lines[0] == "access violation, first chance at 0x0000000000000000 (a.sys+0x1), 2 times"
    assert lines[-1] == "6 more stops at other places"


class Listed:
    """A debugger that has a module list, and counts who reads it."""

    def __init__(self) -> None:
        self.list = [Module("a.sys", 0x1000, 0x100)]
        self.readings = 0
        self.refuses = False

    def modules(self) -> list[Module]:
        self.readings += 1
        if self.refuses:
            raise UsageError("the target is running")
        return self.list


class TestLoadedImages:
    def test_the_list_is_read_once_until_it_changes(self) -> None:
        debugger = Listed()
        images = LoadedImages(debugger)  # type: ignore[arg-type]  # only this much of a debugger is used
        assert str(images.place(0x1010)) == "a.sys+0x10"
        assert images.place(0x1100) is None and images.place(0xFFF) is None
        assert debugger.readings == 1
        debugger.list = [*debugger.list, Module("b.sys", 0x2000, 0x100)]
        images.see(ModuleLoaded(debugger.list[1]))
        assert str(images.place(0x1010)) == "a.sys+0x10" and debugger.readings == 1
        assert str(images.place(0x2000)) == "b.sys+0x0" and debugger.readings == 2

    def test_a_list_that_cannot_be_read_is_asked_for_a_limited_number_of_times(self) -> None:
        debugger = Listed()
        debugger.refuses = True
        images = LoadedImages(debugger)  # type: ignore[arg-type]
        for _ in range(MAX_READINGS + 5):
            assert images.place(0x1010) is None
        assert debugger.readings == MAX_READINGS
        debugger.refuses = False
        images.see(TargetRebooted())
        assert str(images.place(0x1010)) == "a.sys+0x10"
