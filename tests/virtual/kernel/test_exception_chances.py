"""What the debugger is told of a fault before it is a bugcheck, and what its answer does.

Which faults are exceptions and which are bugchecks at once is seen on the stacks of Microsoft's *Bug Check
Code Reference*: below an exception's KeBugCheckEx lies KiDispatchException, below the others' MmAccessFault,
KiBugCheckDispatch or KiFastFailDispatch.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from booted import SYSTEM, Booted, Offered

from harness.errors import DriverBugcheck

UNMAPPED = 0xFFFF_A000_0000_0000
NON_CANONICAL = 0x1234_0000_0000_0000
NULL_PAGE = 0x10
ACCESS_VIOLATION = 0xC0000005
BREAKPOINT = 0x80000003
ASSERTION_FAILURE = 0xC0000420
RAISED = 0xE0000001


class Exceptional(NamedTuple):
    number: int
    """Of misbehave.c."""
    argument: int
    code: int
    information: tuple[int, ...] = ()


EXCEPTIONS = {
    "reads-a-user-address": Exceptional(10, NULL_PAGE, ACCESS_VIOLATION, (0, NULL_PAGE)),
    "writes-a-user-address": Exceptional(11, NULL_PAGE, ACCESS_VIOLATION, (1, NULL_PAGE)),
    "calls-a-user-address": Exceptional(34, NULL_PAGE, ACCESS_VIOLATION, (8, NULL_PAGE)),
    "reads-a-non-canonical-address": Exceptional(10, NON_CANONICAL, ACCESS_VIOLATION, (0, (1 << 64) - 1)),
    "hands-an-export-a-user-address": Exceptional(24, NULL_PAGE, ACCESS_VIOLATION, (0, NULL_PAGE)),
    "divides-by-zero": Exceptional(15, 0, 0xC0000094),
    "executes-an-invalid-opcode": Exceptional(16, 0, 0xC000001D),
    "raises-a-status": Exceptional(33, 0, RAISED),
    "fails-an-assertion": Exceptional(35, 0, ASSERTION_FAILURE),
}

AT_ONCE = {
    "reads-unmapped-kernel-address": (10, UNMAPPED, 0x50),
    "writes-unmapped-kernel-address": (11, UNMAPPED, 0x50),
    "calls-unmapped-kernel-address": (34, UNMAPPED, 0x50),
    "hands-an-export-an-unmapped-kernel-address": (24, UNMAPPED, 0x50),
    "writes-its-own-code": (12, 0, 0xBE),
    "executes-its-own-data": (13, 0, 0xFC),
    "reads-a-user-address-at-dispatch-level": (14, NULL_PAGE, 0xD1),
    "reads-a-kernel-address-at-dispatch-level": (14, UNMAPPED, 0xD1),
    "frees-pool-twice": (17, 0, 0xC2),
    "fails-fast": (22, 0, 0x139),
    "recurses-until-the-stack-ends": (23, 0, 0x7F),
    "asks-for-a-bugcheck": (20, 0, 0xE2),
}


def loaded(misbehave: bytes) -> Booted:
    booted = Booted()
    booted.load(misbehave)
    booted.debugger.prints.clear()
    return booted


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_has_two_chances_before_the_bugcheck(name: str, misbehave: bytes) -> None:
    case, booted = EXCEPTIONS[name], loaded(misbehave)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(case.number, case.argument)
    first, second = booted.debugger.offered
    assert (first.code, first.information) == (case.code, case.information)
    assert (first.first_chance, second.first_chance) == (True, False)
    assert second == first._replace(first_chance=False)
    assert (caught.value.code, caught.value.parameters[:2]) == (0x3B, (case.code, first.address))


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_a_bugcheck_at_once_is_offered_to_nobody(name: str, misbehave: bytes) -> None:
    number, argument, code = AT_ONCE[name]
    booted = loaded(misbehave)
    booted.debugger.handle = lambda _: pytest.fail("offered")
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(number, argument)
    assert caught.value.code == code
    assert booted.debugger.offered == []


def test_a_fail_fast_leaves_its_record(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(22)
    record = caught.value.parameters[2]
    code, _, _, _, count, _, reason = struct.unpack("<IIQQIIQ", booted.kernel.memory.read(record, 40))
    assert (code, count, reason) == (0xC0000409, 1, 7)


def test_a_system_threads_exception_is_offered_twice_and_then_0x7e(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(10, NULL_PAGE, context=SYSTEM)
    assert [offered.first_chance for offered in booted.debugger.offered] == [True, False]
    assert caught.value.code == 0x7E


@pytest.mark.parametrize("number", [10, 15, 16, 24, 34])
def test_continuing_executes_the_faulting_instruction_again(number: int, misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.handle = lambda _: len(booted.debugger.offered) < 20
    with pytest.raises(DriverBugcheck):
        booted.create(number, NULL_PAGE)
    offered = booted.debugger.offered
    assert [chance.first_chance for chance in offered] == [True] * 20 + [False]
    assert len({chance.address for chance in offered}) == 1


def test_the_second_chance_can_be_continued_too(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.handle = lambda chance: not chance.first_chance and len(booted.debugger.offered) < 6
    with pytest.raises(DriverBugcheck):
        booted.create(10, NULL_PAGE)
    assert [chance.first_chance for chance in booted.debugger.offered] == [True, False] * 3


def test_memory_that_the_debugger_mends_lets_the_driver_go_on(misbehave: bytes) -> None:
    booted = loaded(misbehave)

    def mend(_: Offered) -> bool:
        booted.kernel.memory.map(0, 0x1000)
        return True

    booted.debugger.handle = mend
    booted.create(10, NULL_PAGE)
    booted.create(50)
    assert len(booted.debugger.offered) == 1
    assert booted.debugger.prints == [b"pid 50\n"]


def test_code_that_the_debugger_mends_is_what_is_executed(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.handle = lambda chance: booted.kernel.memory.write(chance.address, b"\x66\x90")
    booted.create(16)
    assert [chance.code for chance in booted.debugger.offered] == [0xC000001D]


def test_registers_that_the_debugger_mends_are_an_exports_arguments(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    text = booted.kernel.symbol("KdVersionBlock")
    seen = []

    def mend(chance: Offered) -> bool:
        registers = booted.kernel.registers()
        seen.append((chance.address, registers["rip"], registers["rdx"]))
        booted.kernel.set_registers({"rdx": text})
        return True

    booted.debugger.handle = mend
    booted.create(24, NULL_PAGE)
    entry = booted.kernel.symbol("RtlInitUnicodeString")
    assert seen == [(entry, entry, NULL_PAGE)], "the debugger stands where the export begins"


def test_a_raised_status_that_is_handled_returns_to_its_caller(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.handle = lambda chance: chance.address == booted.kernel.registers()["rip"]
    booted.create(33)
    assert [chance.code for chance in booted.debugger.offered] == [RAISED]
    assert booted.debugger.prints == [b"came back\n"]


def test_an_assertion_is_passed_by_when_the_debugger_goes_on(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.handle = lambda _: True
    booted.create(35)
    assert [chance.code for chance in booted.debugger.offered] == [ASSERTION_FAILURE]


def test_a_break_point_that_nobody_handles_is_a_bugcheck(misbehave: bytes) -> None:
    booted = loaded(misbehave)
    booted.debugger.kernel = None  # what would move past it
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(21)
    assert [chance.first_chance for chance in booted.debugger.offered] == [True, False]
    assert (caught.value.code, caught.value.parameters[0]) == (0x3B, BREAKPOINT)
