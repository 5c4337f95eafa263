"""Chains in memory that drivers write: followed to their end, and no further than once around."""

from __future__ import annotations

import pytest
from booted import Booted

from harness.virtual.cpu.traps import Hung
from harness.virtual.kernel.chains import links_of
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.kernel.mdls import MDL
from harness.virtual.kernel.structures.irp import IRP

NEXT = 8


def chain(booted: Booted, length: int, *, closed: bool = False) -> int:
    """The address of a head with so many structures behind it."""
    memory, heap = booted.kernel._system.memory, booted.kernel._system.heap
    head = heap.allocate(16)
    links = [head]
    for _ in range(length):
        item = heap.allocate(16)
        memory.put_u64(links[-1], item)
        links.append(item + NEXT)
    memory.put_u64(links[-1], links[1] - NEXT if closed else 0)
    return head


@pytest.mark.parametrize("length", [0, 1, 3])
def test_every_link_is_gone_along_and_the_last_holds_nothing(booted: Booted, length: int) -> None:
    memory = booted.kernel._system.memory
    links = list(links_of(memory, chain(booted, length), NEXT, "items"))
    assert len(links) == length + 1
    assert [memory.u64(link) for link in links] == [link - NEXT for link in links[1:]] + [0]


@pytest.mark.parametrize("length", [1, 3])
def test_a_circle_is_a_hang_and_not_the_rig_s(booted: Booted, length: int) -> None:
    with pytest.raises(Hung, match="a chain of items that leads back into itself"):
        list(links_of(booted.kernel._system.memory, chain(booted, length, closed=True), NEXT, "items"))


def test_mdls_in_a_circle_and_devices_in_a_circle_end(booted: Booted) -> None:
    system = booted.kernel._system
    system.service_rsp = system.stack.high - 0x200
    irp = system.heap.allocate(0x100)
    mdl = EXPORTS["IoAllocateMdl"].handler(system, irp, 8, 0, 0, irp)
    second = EXPORTS["IoAllocateMdl"].handler(system, irp, 8, 1, 0, irp)
    assert system.memory.u64(irp + IRP.offset("MdlAddress")) == mdl
    assert system.memory.u64(mdl + MDL.offset("Next")) == second
    system.memory.put_u64(second + MDL.offset("Next"), mdl)
    with pytest.raises(Hung, match="MDLs"):
        EXPORTS["IoAllocateMdl"].handler(system, irp, 8, 1, 0, irp)
    driver, device, other = (system.heap.allocate(0x200) for _ in range(3))
    system.memory.put_u64(device + 8, driver)
    system.memory.put_u64(driver + 8, other)
    system.memory.put_u64(other + 0x10, other)
    with pytest.raises(Hung, match="devices"):
        EXPORTS["IoDeleteDevice"].handler(system, device)
