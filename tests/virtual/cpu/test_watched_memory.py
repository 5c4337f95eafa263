"""Where code stops at accesses to watched memory, and what it sees when it goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unicorn import x86_const

from harness.virtual.cpu.engine import UnicornEngine
from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.cpu.watchedmemory import Accessed, WatchedMemory, is_locked

CODE = 0xFFFF_F803_3000_0000
DATA = 0xFFFF_F803_3001_0000
INC, LOCK_INC, LOAD, STORE, PUSH = "ff00", "f0ff00", "8b08", "8908", "50"


class Machine:
    """One engine with RAX at a watched page, which stops where ``stops`` says."""

    def __init__(self, code: str, stops: Callable[[int, bool], bool]) -> None:
        self.engine = UnicornEngine()
        self.memory = Memory(self.engine)
        self.memory.map(CODE, PAGE, "rx", content=bytes.fromhex(code) + b"\x90\x90")
        self.memory.map(DATA, PAGE)
        self.end = CODE + len(bytes.fromhex(code)) + 1
        self.access: Accessed | None = None
        self.watched = WatchedMemory(self.engine, self.memory, self._stop)
        self.watched.ask = stops
        self.watched.watch(DATA, DATA + PAGE)
        self.engine.reg_write(x86_const.UC_X86_REG_RAX, DATA)
        self.engine.reg_write(x86_const.UC_X86_REG_RCX, 0x55)

    def run(self, count: int = 100) -> Accessed | None:
        """Go on; where it stopped."""
        self.access = None
        self.engine.emu_start(self.engine.reg_read(x86_const.UC_X86_REG_RIP) or CODE, self.end, 0, count)
        if self.access is not None:
            self.watched.undo(self.access)
        return self.access

    @property
    def at_start(self) -> bool:
        return self.engine.reg_read(x86_const.UC_X86_REG_RIP) == CODE

    @property
    def ecx(self) -> int:
        return self.engine.reg_read(x86_const.UC_X86_REG_ECX)

    def _stop(self, access: Accessed) -> None:
        self.access = access
        self.engine.emu_stop()


@pytest.mark.parametrize("code", [INC, LOCK_INC, LOAD, STORE])
@pytest.mark.parametrize("at_write", [False, True])
def test_code_stops_before_the_instruction_and_nothing_of_it_is_done(code: str, at_write: bool) -> None:
    machine = Machine(code, lambda _address, write: write == at_write)
    machine.memory.put_u32(DATA, 7)
    access = machine.run()
    if (code == LOAD and at_write) or (code == STORE and not at_write):
        assert access is None
        return
    assert access == Accessed(DATA, at_write, (7).to_bytes(4, "little"))
    assert machine.at_start
    assert machine.memory.u32(DATA) == 7
    assert machine.ecx == 0x55
    with machine.watched.unasked(None):
        machine.run(1)
    assert not machine.at_start
    assert machine.memory.u32(DATA) == {INC: 8, LOCK_INC: 8, LOAD: 7, STORE: 0x55}[code]
    assert machine.ecx == (7 if code == LOAD else 0x55)


def test_what_others_write_behind_the_read_of_an_instruction_is_lost_by_its_write() -> None:
    machine = Machine(INC, lambda _address, write: not write)
    access = machine.run()
    machine.memory.put_u32(DATA, 41)
    with machine.watched.unasked(access):
        machine.run(1)
    assert machine.memory.u32(DATA) == 1


def test_what_others_write_behind_a_read_alone_stays() -> None:
    machine = Machine(LOAD, lambda _address, _write: True)
    access = machine.run()
    machine.memory.put_u32(DATA, 41)
    with machine.watched.unasked(access):
        machine.run(1)
    assert (machine.ecx, machine.memory.u32(DATA)) == (0, 41)


def test_memory_that_is_gone_meanwhile_is_left_alone() -> None:
    machine = Machine(INC, lambda _address, write: not write)
    access = machine.run()
    machine.memory.unmap(DATA)
    with machine.watched.unasked(access):
        assert machine.memory.read(DATA, 1) == b""


def test_nobody_is_asked_outside_what_is_watched() -> None:
    asked: list[int] = []
    machine = Machine(PUSH, lambda address, _write: bool(asked.append(address)))
    machine.memory.map(DATA + PAGE, PAGE)
    machine.engine.reg_write(x86_const.UC_X86_REG_RSP, DATA + 2 * PAGE)
    machine.run()
    assert asked == []
    assert machine.memory.u64(DATA + 2 * PAGE - 8) == DATA


@pytest.mark.parametrize(
    ("code", "locked"),
    [
        ("f0ff00", True),  # lock inc [rax]
        ("f0480fb108", True),  # lock cmpxchg [rax], rcx
        ("66f0ff00", True),
        ("8708", True),  # xchg [rax], ecx
        ("488708", True),
        ("ff00", False),
        ("480fb108", False),
        ("f348a5", False),  # rep movsq
        ("f0", True),
        ("", False),
    ],
)
def test_an_instruction_is_atomic_for_other_processors_with_a_lock_or_as_an_exchange(
    code: str, locked: bool
) -> None:
    assert is_locked(bytes.fromhex(code)) is locked
