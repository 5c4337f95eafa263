"""Hardware that is switched off and on: what the next boot finds is what a new machine would have."""

from __future__ import annotations

import pytest
import unicorn
from unicorn.x86_const import UC_X86_REG_RAX, UC_X86_REG_RCX

from harness.virtual.cpu.engine import EngineError
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.cpu.memory import MAX_SPARE, PAGE

CODE = 0xFFFF_9000_0000_0000
DATA = CODE + 16 * PAGE
ADD_ONE = b"\x48\xff\xc0"  # inc rax
ADD_TWO = b"\x48\x83\xc0\x02"  # add rax, 2
LOAD = b"\x48\x8b\x01"  # mov rax, [rcx]


def execute(hardware: Hardware, code: bytes, *, rax: int = 0, rcx: int = 0) -> int:
    hardware.memory.settle()
    hardware.engine.reg_write(UC_X86_REG_RAX, rax)
    hardware.engine.reg_write(UC_X86_REG_RCX, rcx)
    hardware.engine.emu_start(CODE, CODE + len(code))
    return int(hardware.engine.reg_read(UC_X86_REG_RAX))


@pytest.fixture
def used() -> Hardware:
    """Hardware on which code has run and data was written, switched off and on."""
    hardware = Hardware()
    hardware.memory.map(CODE, PAGE, "rx", content=ADD_ONE)
    hardware.memory.map(DATA, PAGE, content=b"old")
    hardware.memory.store(DATA + 0x800, b"left behind")
    assert execute(hardware, ADD_ONE, rax=1) == 2
    hardware.reset()
    return hardware


def test_nothing_is_mapped_and_no_register_holds_anything(used: Hardware) -> None:
    assert used.memory.ranges() == []
    assert not used.memory.is_mapped(CODE)
    assert used.engine.reg_read(UC_X86_REG_RAX) == 0


def test_memory_mapped_where_memory_was_is_as_new(used: Hardware) -> None:
    used.memory.map(DATA, PAGE, content=b"n")
    assert used.memory.read(DATA, PAGE) == b"n".ljust(PAGE, b"\0")


@pytest.mark.parametrize("code", [ADD_ONE, ADD_TWO], ids=["the same code", "other code"])
@pytest.mark.parametrize("protection", ["rx", "rwx"])
def test_what_lies_there_now_is_executed(used: Hardware, code: bytes, protection: str) -> None:
    used.memory.map(CODE, PAGE, protection, content=code)
    assert execute(used, code, rax=5) == (6 if code is ADD_ONE else 7)


def test_code_that_was_unmapped_in_between_too(used: Hardware) -> None:
    for code, result in ((ADD_ONE, 1), (ADD_TWO, 2), (ADD_ONE, 1)):
        used.memory.map(CODE, PAGE, "rx", content=code)
        assert execute(used, code) == result
        used.memory.unmap(CODE)


@pytest.mark.parametrize(("address", "size"), [(CODE - PAGE, 2 * PAGE), (CODE, 2 * PAGE)])
def test_a_region_may_be_larger_than_what_was_there(used: Hardware, address: int, size: int) -> None:
    content = bytes(CODE - address) + ADD_TWO
    used.memory.map(address, size, "rx", content=content)
    assert execute(used, ADD_TWO, rax=5) == 7


def test_what_is_not_mapped_anew_cannot_be_read(used: Hardware) -> None:
    used.memory.map(CODE, PAGE, "rx", content=LOAD)
    with pytest.raises(EngineError):
        execute(used, LOAD, rcx=DATA)


def test_code_that_is_not_mapped_anew_cannot_be_executed(used: Hardware) -> None:
    with pytest.raises(EngineError):
        execute(used, ADD_ONE)
    used.memory.map(CODE, PAGE, "rx", content=ADD_ONE)
    used.memory.unmap(CODE)
    with pytest.raises(EngineError):
        execute(used, ADD_ONE)


def test_code_that_is_kept_is_bounded(used: Hardware) -> None:
    places = [CODE + (number + 1) * 0x10000 for number in range(MAX_SPARE + 2)]
    for place in places:
        used.memory.map(place, PAGE, "rx", content=ADD_ONE)
        used.memory.unmap(place)
    used.memory.settle()
    regions = {low for low, _, _ in used.engine.mem_regions()}
    assert len(regions) == MAX_SPARE
    assert places[-1] in regions


def test_hooks_are_gone_and_new_ones_see_code_that_ran_before(used: Hardware) -> None:
    seen: list[str] = []
    used.memory.map(CODE, PAGE, "rx", content=ADD_ONE)
    used.engine.hook_add(unicorn.UC_HOOK_CODE, lambda *_: seen.append("first"), begin=CODE, end=CODE)
    execute(used, ADD_ONE)
    used.reset()
    used.memory.map(CODE, PAGE, "rx", content=ADD_ONE)
    execute(used, ADD_ONE)
    assert seen == ["first"]
    used.engine.hook_add(unicorn.UC_HOOK_CODE, lambda *_: seen.append("second"), begin=CODE, end=CODE)
    execute(used, ADD_ONE)
    assert seen == ["first", "second"]


def test_a_watch_on_memory_sees_code_that_ran_before(used: Hardware) -> None:
    seen: list[int] = []
    for _ in range(3):
        used.memory.map(CODE, PAGE, "rx", content=LOAD)
        used.memory.map(DATA, PAGE)
        execute(used, LOAD, rcx=DATA)
        used.engine.hook_add(unicorn.UC_HOOK_MEM_READ, lambda *details: seen.append(details[2]))
        execute(used, LOAD, rcx=DATA)
        used.reset()
    assert seen == [DATA] * 3
