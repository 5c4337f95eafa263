"""What a driver of tests/virtual/executions does from load to a while after unload."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from booted import ListedDebugger, open_filter

from harness.errors import DriverBugcheck, DriverHang
from harness.standingrules import BrokenRule
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import PROCESSORS, VirtualTarget


class Life(NamedTuple):
    """What one case did from load to a while after unload."""

    lines: list[str]
    end: DriverBugcheck | DriverHang | None
    time: int
    """When it ended (100 ns units since boot)."""
    broken_rules: tuple[BrokenRule, ...]
    """The standing rules that it broke."""


def live(
    image: bytes,
    case: str,
    *,
    seed: int = 1,
    policy: str = POLICIES[0],
    verifier: bool = False,
    break_in_every: int = 0,
    hardware: Hardware | None = None,
    processors: int = PROCESSORS,
) -> Life:
    debugger, clock = ListedDebugger(), Clock()
    kernel = Kernel(
        debugger,
        clock,
        processors=processors,
        print_filter=open_filter(),
        verifier=verifier,
        hardware=hardware,
    )
    debugger.kernel = kernel
    if break_in_every:
        polls = itertools.count(1)
        debugger.poll = lambda: None if next(polls) % break_in_every else kernel.break_in()
    target = VirtualTarget(kernel, debugger, clock, seed=seed, policy=policy, processors=processors)
    end: DriverBugcheck | DriverHang | None = None
    try:
        assert target.load_driver(case, target.put(f"{case}.sys", image)) == 0
        target.settle(SECOND, 20 * SECOND)
        target.act(["launch", "notepad.exe"], 1)
        target.settle(300 * MILLISECOND, 20 * SECOND)
        assert target.unload_driver(case) == 0
        target.settle(SECOND, 20 * SECOND)
    except (DriverBugcheck, DriverHang) as error:
        end = error
    lines = [text.decode().rstrip("\n") for text in debugger.prints]
    return Life(
        [line for line in lines if not line.startswith("[actor]")], end, clock.now, tuple(kernel.broken_rules)
    )
