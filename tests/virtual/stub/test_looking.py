"""A driver that walks the kernel's structures finds the same whether or not a debugger looks at them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from booted import ListedDebugger, open_filter
from kd_debugger import MemoryDebugger, look_at_everything

from harness.toolchain import Arch, build_driver
from harness.virtual.clock import SECOND, Clock
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.served import ServedTarget
from harness.virtual.target import VirtualTarget

SEED = 4
HERE = Path(__file__).parent
LINE = re.compile(rb"\[walks\] in (\d+)\.(\d+) (\S+), listed 1, state 2, idle ([0-9A-F]{16}), walks\.sys at ")


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """walks/walks.c, compiled."""
    out = tmp_path_factory.mktemp("walks") / "walks.sys"
    build_driver(HERE.parent / "walks", Arch.X64, out)
    return out.read_bytes()


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
