"""Process and thread objects: where the model has them, with what it knows, for as long as they are
referenced."""

from __future__ import annotations

import pytest
from booted import SYSTEM, USER, Booted

from harness.errors import DriverBugcheck
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.structures.slots import REST
from harness.virtual.windows.symbols18362 import EPROCESS, ETHREAD, KLDR_DATA_TABLE_ENTRY


def a_model(booted: Booted) -> None:
    kernel = booted.kernel
    kernel.create_process_object(pid=4, parent_pid=0, name="System", image=None)
    kernel.create_thread_object(pid=4, tid=8, processor=0)
    path = r"\Device\X\services.exe"
    kernel.create_process_object(pid=1000, parent_pid=500, name="services.exe", image=path)
    kernel.create_thread_object(pid=1000, tid=1004, processor=1)


def current_thread(booted: Booted, processor: int) -> int:
    return booted.kernel.memory.u64(booted.kernel.processor_block(processor) + 0x188)


def ring(booted: Booted, head: int) -> list[int]:
    """The nodes of a LIST_ENTRY ring in order; both directions agree."""
    memory, found = booted.kernel.memory, []
    before, node = head, memory.u64(head)
    while node != head:
        assert memory.u64(node + 8) == before
        found.append(node)
        before, node = node, memory.u64(node)
    assert memory.u64(head + 8) == before
    return found


def pids(booted: Booted) -> list[int]:
    links = EPROCESS.offset("ActiveProcessLinks")
    at = EPROCESS.offset("UniqueProcessId") - links
    return [
        booted.kernel.memory.u64(node + at) for node in ring(booted, booted.symbol("PsActiveProcessHead"))
    ]


def tids(booted: Booted, process: int) -> list[int]:
    at = ETHREAD.offset("Cid") + 8 - ETHREAD.offset("ThreadListEntry")
    head = process + EPROCESS.offset("ThreadListHead")
    return [booted.kernel.memory.u64(node + at) for node in ring(booted, head)]


def test_objects_read_as_the_model_has_them(booted: Booted, misbehave: bytes) -> None:
    a_model(booted)
    booted.load(misbehave)
    booted.create(50)
    memory = booted.kernel.memory
    current = current_thread(booted, USER.cpu)
    process = memory.u64(current + ETHREAD.offset("Process"))
    assert memory.u64(current + ETHREAD.offset("Cid")) == 1000
    assert memory.c_string(process + EPROCESS.offset("ImageFileName"), 15) == b"services.exe"
    assert memory.u64(process + EPROCESS.offset("InheritedFromUniqueProcessId")) == 500
    assert memory.u64(process + EPROCESS.offset("CreateTime")) == booted.clock.system_time
    system = memory.u64(booted.symbol("PsInitialSystemProcess"))
    assert memory.u64(system + EPROCESS.offset("UniqueProcessId")) == 4
    assert pids(booted) == [4, 1000, 50]
    assert tids(booted, process) == [1004]


def test_lists_follow_the_model_at_once(booted: Booted) -> None:
    a_model(booted)
    kernel, objects = booted.kernel, booted.kernel._system.objects
    process = objects.process(1000).address
    for tid in (1008, 1012):
        kernel.create_thread_object(pid=1000, tid=tid, processor=0)
    kernel.create_process_object(pid=2000, parent_pid=1000, name="a.exe", image=None)
    assert tids(booted, process) == [1004, 1008, 1012]
    kernel.delete_thread_object(1008)
    assert tids(booted, process) == [1004, 1012]
    assert pids(booted) == [4, 1000, 2000]
    for tid in (1004, 1012):
        kernel.delete_thread_object(tid)
    kernel.delete_process_object(1000)
    assert pids(booted) == [4, 2000]


def test_an_address_is_not_used_again_while_it_is_referenced(booted: Booted) -> None:
    a_model(booted)
    kernel, objects = booted.kernel, booted.kernel._system.objects
    held = objects.process(1000)
    objects.reference(held)
    kernel.delete_thread_object(1004)
    kernel.delete_process_object(1000)
    kernel.create_process_object(pid=1000, parent_pid=4, name="next.exe", image=None)
    assert objects.process(1000).address != held.address
    assert pids(booted) == [4, 1000, 1000], "the object is in the list until nobody refers to it"
    objects.dereference(held)
    assert pids(booted) == [4, 1000]
    addresses = []
    for _ in range(REST + 1):
        kernel.create_process_object(pid=2000, parent_pid=4, name="third.exe", image=None)
        addresses.append(objects.process(2000).address)
        kernel.delete_process_object(2000)
    assert addresses.index(held.address) == REST, "only then"
    assert len(set(addresses)) == REST + 1


def test_a_processor_without_a_thread_is_idle(booted: Booted) -> None:
    memory = booted.kernel.memory
    for processor in range(booted.kernel.processors):
        block = booted.kernel.processor_block(processor)
        idle = current_thread(booted, processor)
        assert idle == memory.u64(block + 0x198), "KPRCB.IdleThread"
        assert memory.u64(idle + ETHREAD.offset("Cid") + 8) == 0
    assert 0 not in pids(booted)


def test_a_thread_is_on_one_processor_at_a_time(booted: Booted, misbehave: bytes) -> None:
    a_model(booted)
    booted.load(misbehave)
    for processor in (0, 1, 0):
        booted.create(50, context=USER._replace(cpu=processor))
        own, other = current_thread(booted, processor), current_thread(booted, 1 - processor)
        assert booted.kernel.memory.u64(own + ETHREAD.offset("Cid") + 8) == 1004
        assert own != other
        assert booted.kernel.memory.read(own + ETHREAD.offset("State"), 1) == b"\x02"


@pytest.mark.parametrize("head", ["PsActiveProcessHead", "PsLoadedModuleList"])
def test_a_ring_that_a_driver_broke_is_a_bugcheck_when_it_changes(
    head: str, booted: Booted, misbehave: bytes
) -> None:
    a_model(booted)
    booted.load(misbehave)
    last = booted.kernel.memory.u64(booted.symbol(head) + 8)
    booted.kernel.memory.put_u64(last, 0x10)
    with pytest.raises(DriverBugcheck) as caught:
        booted.kernel.delete_process_object(1000)
        booted.kernel.unload_driver(name="misbehave", context=SYSTEM)
    assert (caught.value.code, caught.value.parameters[0]) == (0x139, 3)
    assert caught.value.module == "misbehave.sys"


def test_a_driver_that_takes_a_process_out_of_the_ring_leaves_it_sound(booted: Booted) -> None:
    a_model(booted)
    memory, links = booted.kernel.memory, EPROCESS.offset("ActiveProcessLinks")
    entry = booted.kernel._system.objects.process(1000).address + links
    following, previous = memory.u64(entry), memory.u64(entry + 8)
    memory.put_u64(previous, following)
    memory.put_u64(following + 8, previous)
    memory.put_u64(entry, entry)
    memory.put_u64(entry + 8, entry)
    booted.kernel.create_process_object(pid=2000, parent_pid=4, name="a.exe", image=None)
    assert pids(booted) == [4, 2000]
    booted.kernel.delete_process_object(1000)
    assert pids(booted) == [4, 2000]


def test_modules_are_in_the_ring_while_they_are_loaded(booted: Booted, misbehave: bytes) -> None:
    def names() -> list[str]:
        memory, at = booted.kernel.memory, KLDR_DATA_TABLE_ENTRY.offset("BaseDllName")
        found = []
        for entry in ring(booted, booted.symbol("PsLoadedModuleList")):
            length, buffer = memory.u16(entry + at), memory.u64(entry + at + 8)
            found.append(memory.read(buffer, length).decode("utf-16-le"))
        return found

    assert names() == ["ntoskrnl.exe"]
    for _ in range(2):
        booted.load(misbehave)
        assert names() == ["ntoskrnl.exe", "misbehave.sys"]
        booted.kernel.unload_driver(name="misbehave", context=SYSTEM)
        assert names() == ["ntoskrnl.exe"]


def test_processor_number_and_current_thread_need_no_call(booted: Booted) -> None:
    booted.kernel.break_in()
    for cpu in range(booted.kernel.processors):
        block = booted.kernel.processor_block(cpu)
        assert booted.kernel.memory.u16(block + 0x184) == cpu
        assert booted.kernel.memory.u64(block + 0x18) == block
        assert booted.kernel.memory.u64(block + 0x20) == block + 0x180


def test_an_object_goes_with_its_last_reference(booted: Booted, misbehave: bytes) -> None:
    booted.load(misbehave)
    booted.create(60)
    objects = booted.kernel._system.objects
    process = objects.find_process(60)
    assert process is not None
    objects.reference(process)
    own = ThreadContext(60, 64, 0)
    booted.kernel.process_notify(parent_pid=1000, pid=60, create=False, context=own)
    assert objects.find_process(60) is None
    assert objects.at(process.address) is process
    assert objects.dereference(process)
    assert objects.at(process.address) is None


def test_a_reused_pid_is_another_object(booted: Booted, misbehave: bytes) -> None:
    booted.load(misbehave)
    booted.create(60)
    objects = booted.kernel._system.objects
    first = objects.find_process(60)
    booted.create(60, 2000)
    second = objects.find_process(60)
    assert first is not second
    assert (first.parent_pid, second.parent_pid) == (1000, 2000)
