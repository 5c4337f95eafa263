"""A driver that walks the kernel's structures finds the same whether or not a debugger looks at them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from booted import ListedDebugger, open_filter
from kd_debugger import Dialog, MemoryDebugger, go, read, read_u64

from harness.kd.manipulate import GetVersion64, ReadControlSpace, ReadPhysicalMemory
from harness.kd.statechange import StateChange
from harness.toolchain import Arch, build_driver
from harness.virtual.clock import SECOND, Clock
from harness.virtual.cpu.registers import SYSTEM_REGISTERS
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.served import ServedTarget
from harness.virtual.target import VirtualTarget
from harness.virtual.windows.symbols18362 import (
    EPROCESS,
    ETHREAD,
    KDDEBUGGER_DATA64,
    KLDR_DATA_TABLE_ENTRY,
    KPCR,
    KUSER_SHARED_DATA,
)

SHARED_DATA = 0xFFFFF780_00000000
SEED = 4
HERE = Path(__file__).parent
LINE = re.compile(rb"\[walks\] in (\d+)\.(\d+) (\S+), listed 1, state 2, idle ([0-9A-F]{16}), walks\.sys at ")


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """walks/walks.c, compiled."""
    out = tmp_path_factory.mktemp("walks") / "walks.sys"
    build_driver(HERE.parent / "walks", Arch.X64, out)
    return out.read_bytes()


def walk(head: int, size: int, offset: int) -> Dialog:
    """Read every structure of a ring, whose links lie at ``offset`` of it."""
    node = yield from read_u64(head)
    while node != head:
        yield from read(node - offset, size)
        node = yield from read_u64(node)


def look_at_everything(state: StateChange) -> Dialog:
    version = yield GetVersion64()
    block = yield from read_u64(version.debugger_data_list)
    active = yield from read_u64(block + KDDEBUGGER_DATA64.offset("PsActiveProcessHead"))
    yield from walk(version.ps_loaded_module_list, KLDR_DATA_TABLE_ENTRY.size, 0)
    links, threads = EPROCESS.offset("ActiveProcessLinks"), EPROCESS.offset("ThreadListHead")
    node = yield from read_u64(active)
    while node != active:
        yield from walk(node - links + threads, ETHREAD.size, ETHREAD.offset("ThreadListEntry"))
        node = yield from read_u64(node)
    yield from read(SHARED_DATA, KUSER_SHARED_DATA.size)
    for processor in range(2):
        kpcr = int.from_bytes(
            (yield ReadControlSpace(processor=processor, address=0, count=8)).data, "little"
        )
        yield from read(kpcr, KPCR.size)
    yield ReadPhysicalMemory(address=SYSTEM_REGISTERS["cr3"], count=8)
    yield from go(state)


def live(target: ServedTarget | VirtualTarget, driver: bytes, between: Callable[[], None]) -> None:
    """Helpers come and go, notepad stays."""
    assert target.load_driver("walks", target.put("walks.sys", driver)) == 0
    for step, argv in enumerate((["create-thread"], ["launch", "notepad.exe"], ["exit", "7"])):
        between()
        target.act(argv, step)
        target.settle(SECOND // 10, SECOND)
    assert target.unload_driver("walks") == 0


def lines_without_a_debugger(driver: bytes) -> list[bytes]:
    printed, clock = ListedDebugger(), Clock()
    live(
        VirtualTarget(Kernel(printed, clock, print_filter=open_filter()), printed, clock, seed=SEED),
        driver,
        lambda: None,
    )
    return printed.prints


def test_a_sound_walk_finds_what_the_model_has(walks: bytes) -> None:
    lines = [line for line in lines_without_a_debugger(walks) if line.startswith(b"[walks]")]
    assert not any(b"broken" in line for line in lines)
    seen = [LINE.match(line) for line in lines[1::2]]
    assert len(seen) > 20
    assert all(seen), "the current thread is listed and runs"
    assert {b"System", b"notepad.exe"} <= {match.group(3) for match in seen if match}
    begun = sum(b"process begins" in line for line in lines)
    ended = sum(b"process ends" in line for line in lines)
    counts = [int(found.group(1)) for line in lines if (found := re.search(rb"processes (\d+)", line))]
    # The first line is about a process that has begun, the last one comes after all that have ended.
    assert counts[-1] == counts[0] - 1 + begun - ended


def test_a_debugger_that_looks_changes_nothing_that_a_driver_reads(walks: bytes) -> None:
    debugger = MemoryDebugger(look_at_everything)
    target = debugger.attached(seed=SEED)
    live(target, walks, debugger.break_in)
    assert debugger.prints == lines_without_a_debugger(walks)
    assert len(debugger.stops) == 6, "at attach, the driver's load and unload, and three times in between"
