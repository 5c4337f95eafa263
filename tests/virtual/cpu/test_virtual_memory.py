"""Memory, pool, heap: what faults, what is checked, what is reused."""

from __future__ import annotations

import pytest

from harness.virtual.cpu.engine import UnicornEngine
from harness.virtual.cpu.memory import PAGE, Memory, is_canonical
from harness.virtual.cpu.traps import BugcheckRaised, MemoryFault
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.kernel.pageable import Pageable
from harness.virtual.kernel.pool import MAX_ALLOCATION, Pool

BASE = 0xFFFF_9000_0000_0000
SITE = CallSite("a.sys", "ExAllocatePoolWithTag", BASE)


@pytest.fixture
def memory() -> Memory:
    return Memory(UnicornEngine())


def test_a_debugger_reads_across_regions_and_stops_at_a_hole(memory) -> None:
    memory.map(BASE, PAGE, content=b"a" * PAGE)
    memory.map(BASE + PAGE, PAGE, "r", content=b"b" * PAGE)
    assert memory.read(BASE + PAGE - 2, 4) == b"aabb"
    assert memory.read(BASE + 2 * PAGE - 2, 4) == b"bb"
    assert memory.read(BASE - 1, 4) == b""
    assert memory.ranges() == [(BASE, PAGE), (BASE + PAGE, PAGE)]


def test_a_debugger_writes_all_or_nothing_whatever_the_protection(memory) -> None:
    memory.map(BASE, PAGE, "rx")
    assert memory.write(BASE, b"\xcc")
    assert not memory.write(BASE + PAGE - 1, b"no")
    assert memory.read(BASE + PAGE - 1, 1) == b"\0"
    assert memory.read(BASE, 1) == b"\xcc"


def test_kernel_code_faults_as_the_processor_does(memory) -> None:
    memory.map(BASE, PAGE, "r")
    with pytest.raises(MemoryFault) as caught:
        memory.load(BASE + PAGE - 4, 8)
    assert (caught.value.address, caught.value.access, caught.value.present) == (BASE + PAGE, "read", False)
    with pytest.raises(MemoryFault) as caught:
        memory.store(BASE, b"x")
    assert (caught.value.access, caught.value.present) == ("write", True)


@pytest.mark.parametrize(("address", "size"), [(BASE + 1, PAGE), (BASE, 1), (BASE, 0)])
def test_only_whole_pages_are_mapped(memory, address, size) -> None:
    with pytest.raises(ValueError, match="cannot be mapped"):
        memory.map(address, size)


def test_a_page_is_mapped_once(memory) -> None:
    memory.map(BASE, 2 * PAGE)
    with pytest.raises(ValueError, match="cannot be mapped"):
        memory.map(BASE + PAGE, PAGE)
    memory.unmap(BASE)
    memory.map(BASE + PAGE, PAGE)
    assert memory.protection(BASE) is None
    with pytest.raises(ValueError, match="no region starts"):
        memory.unmap(BASE)


def test_wide_strings_may_lie_across_pages(memory) -> None:
    text = "across".encode("utf-16-le")
    memory.map(BASE, PAGE)
    memory.map(BASE + PAGE, PAGE)
    start = BASE + PAGE - 5
    memory.store(start, text + b"\0\0")
    assert memory.wide_string(start, 100) == text
    assert memory.wide_string(start, 3) == text[:6]


def test_canonical_addresses() -> None:
    assert is_canonical(0x7FFF_FFFF_FFFF)
    assert is_canonical(0xFFFF_8000_0000_0000)
    assert not is_canonical(0x8000_0000_0000)


def test_pool_blocks_end_at_an_unmapped_page(memory) -> None:
    pool = Pool(memory, Pageable(memory))
    address = pool.allocate(24, b"Test", paged=False, site=SITE)
    assert address % 16 == 0
    assert memory.is_mapped(address, 24)
    assert not memory.is_mapped(address + 32)
    assert pool.state_of(address + 32) == "beyond"
    large = pool.allocate(PAGE + 1, b"Test", paged=False, site=SITE)
    assert large % PAGE == 0
    assert [block.size for block in pool.leftovers("a.sys")] == [24, PAGE + 1]
    pool.free(address, b"Test")
    assert not memory.is_mapped(address)
    assert pool.state_of(address) == "freed"


def test_pool_that_does_not_exist(memory) -> None:
    assert Pool(memory, Pageable(memory)).allocate(MAX_ALLOCATION + 1, b"Test", paged=False, site=None) == 0


@pytest.mark.parametrize(("address", "kind"), [(0x1000, 0x40), (0xFFFF_A000_0000_0000, 0x46)])
def test_freeing_what_is_no_pool(memory, address, kind) -> None:
    with pytest.raises(BugcheckRaised) as caught:
        Pool(memory, Pageable(memory)).free(address)
    assert (caught.value.code, caught.value.parameters[0]) == (0xC2, kind)


def test_a_write_behind_a_block_within_its_page_is_found_when_it_is_freed(memory) -> None:
    pool = Pool(memory, Pageable(memory))
    address = pool.allocate(20, b"Test", paged=False, site=None)
    memory.put_u8(address + 21, 0)
    with pytest.raises(BugcheckRaised) as caught:
        pool.free(address)
    assert (caught.value.code, caught.value.parameters) == (0xC1, (address, address + 21, 20, 0x24))


def test_heap_blocks_are_zeroed_and_reused(memory) -> None:
    heap = KernelHeap(memory)
    address = heap.put(b"text")
    heap.free(address)
    assert heap.allocate(4) == address
    assert memory.load(address, 4) == bytes(4)
    with pytest.raises(ValueError, match="not a block"):
        heap.free(address + 16)
    assert memory.is_mapped(heap.allocate(0x30000), 0x30000)
