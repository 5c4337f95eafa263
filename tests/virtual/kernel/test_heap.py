"""The kernel's own blocks: reused once freed, and of no use to whom they were lent."""

from __future__ import annotations

import pytest

from harness.virtual.cpu.hardware import Hardware
from harness.virtual.kernel.heap import STALE, KernelHeap, is_stale


def test_a_block_is_reused_zeroed_and_keeps_what_it_held_until_then() -> None:
    memory = Hardware().memory
    heap = KernelHeap(memory)
    block = heap.put(b"\x01" * 32)
    heap.free(block)
    assert not heap.owns(block)
    assert memory.load(block, 32) == b"\x01" * 32
    assert heap.allocate(32) == block
    assert memory.load(block, 32) == bytes(32)


def test_what_was_lent_holds_pointers_that_lead_nowhere() -> None:
    memory = Hardware().memory
    heap = KernelHeap(memory)
    block = heap.put(b"\x01" * 32)
    heap.take_back(block)
    assert memory.load(block, 32) == bytes((STALE,)) * 32
    assert is_stale(memory.u64(block + 8)) and is_stale(memory.u64(block) + 0x40)
    with pytest.raises(ValueError, match="not a block"):
        heap.take_back(block)


@pytest.mark.parametrize("address", [0, 0xFFFF9A80_00000010, 0xDDDD_DDDD_DDDD, 0xDDDD_DDDD_DDDC_DDDD])
def test_no_other_address_is_taken_for_one(address: int) -> None:
    assert not is_stale(address)
