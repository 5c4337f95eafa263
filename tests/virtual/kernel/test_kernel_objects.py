"""Process and thread objects: where the model has them, with what it knows, for as long as they are
referenced."""

from __future__ import annotations

from booted import USER, Booted, Directory, Known

from harness.virtual.interfaces import ThreadContext
from harness.virtual.windows.symbols18362 import EPROCESS, ETHREAD

PAGE = 0x1000
PROCESSES = 0xFFFF_A100_0000_0000
THREADS = 0xFFFF_A100_1000_0000


def a_directory() -> Directory:
    services = Known(PROCESSES + PAGE, 500, "services.exe", r"\Device\X\services.exe", ("-k",), 77)
    return Directory(
        processes={4: Known(PROCESSES, 0, "System"), 1000: services},
        threads={8: Known(THREADS), 1004: Known(THREADS + PAGE)},
    )


def test_objects_lie_where_the_model_has_them(booted: Booted, misbehave: bytes) -> None:
    booted.kernel.follow(a_directory())
    booted.load(misbehave)
    booted.create(50)
    memory = booted.kernel.memory
    current = memory.u64(booted.kernel.processor_block(USER.cpu) + 0x188)
    assert current == THREADS + PAGE
    assert memory.u64(current + ETHREAD.offset("Process")) == PROCESSES + PAGE
    assert memory.u64(current + ETHREAD.offset("Cid")) == 1000
    assert memory.c_string(PROCESSES + PAGE + EPROCESS.offset("ImageFileName"), 15) == b"services.exe"
    assert memory.u64(booted.kernel.symbol("PsInitialSystemProcess")) == PROCESSES


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
