"""Instructions that are served instead of executed."""

from __future__ import annotations

from itertools import count

import pytest

from harness.virtual.cpu.engine import UnicornEngine
from harness.virtual.cpu.instructions import ServedInstructions
from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.cpu.registers import RegisterFile

CODE = 0xFFFF_F803_3000_0000
RDTSC, RDTSCP, NOP = "0f31", "0f01f9", "90"
READ_R9, WRITE_R9 = "45 0f20c1".replace(" ", ""), "45 0f22c1".replace(" ", "")


class Machine:
    """One engine that executes ``code``."""

    def __init__(self, code: str, **registers: int) -> None:
        content = bytes.fromhex(code)
        self.engine = UnicornEngine()
        self.memory = Memory(self.engine)
        self.memory.map(CODE, PAGE, "rx", content=content + bytes.fromhex(NOP))
        self.registers = RegisterFile(self.engine)
        self.lowered: list[int] = []
        self.served = ServedInstructions(self.engine, self.memory, self.registers, self.lowered.append)
        stamps = count(0x1_0000_0005, 7)
        self.served.time_stamp = lambda: next(stamps)
        self.served.processor = lambda: 3
        self.end = CODE + len(content)
        self.registers.update(registers)

    def run(self) -> None:
        self.engine.emu_start(CODE, self.end)

    def __getitem__(self, name: str) -> int:
        return self.registers[name]


@pytest.mark.parametrize("code", [RDTSC, RDTSCP])
def test_the_time_stamp_counter_is_the_targets(code: str) -> None:
    machine = Machine(code, rax=(1 << 64) - 1, rdx=(1 << 64) - 1, rcx=9)
    machine.served.watch(CODE, CODE, bytes.fromhex(code))
    machine.run()
    assert (machine["rax"], machine["rdx"]) == (5, 1)
    assert machine["rcx"] == (3 if code == RDTSCP else 9)
    machine.run()
    assert machine["rax"] == 12


def test_what_only_looks_like_one_is_executed_as_what_it_is() -> None:
    code = "b80f310000"  # mov eax, 310fh
    machine = Machine(code)
    machine.served.watch(CODE, CODE, bytes.fromhex(code))
    machine.run()
    assert (machine["rax"], machine["rdx"]) == (0x310F, 0)


def test_cr8_is_the_irql() -> None:
    machine = Machine(READ_R9, cr8=2, r9=9)
    machine.served.watch(CODE, CODE, bytes.fromhex(READ_R9))
    machine.run()
    assert machine["r9"] == 2


@pytest.mark.parametrize(("before", "now", "lowered"), [(2, 1, [1]), (1, 2, []), (1, 1, [])])
def test_a_lower_irql_is_told(before: int, now: int, lowered: list[int]) -> None:
    machine = Machine(WRITE_R9, cr8=before, r9=now)
    machine.served.watch(CODE, CODE, bytes.fromhex(WRITE_R9))
    machine.run()
    assert (machine.registers.cr8, machine.lowered) == (now, lowered)


def test_an_image_that_has_gone_is_served_no_more() -> None:
    machine = Machine(READ_R9, cr8=2, r9=9)
    machine.served.watch(CODE, CODE, bytes.fromhex(READ_R9))
    machine.served.forget(CODE)
    machine.run()
    assert machine["r9"] == 0  # the emulator's own
