"""A debugger that breaks in at random moments, lists modules and processes and goes on changes nothing: every
shipped scenario prints the same bytes as with one that is silent."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from random import Random

import pytest
from kd_debugger import MemoryDebugger, list_modules_and_processes
from tried_policies import POLICIES_TRIED

from harness.runs.opening import read_driver
from harness.runs.rig import GuestFiles
from harness.runs.serving import serve
from harness.runs.steps import GuestDriver
from harness.scenario import load
from harness.toolchain import default_actor, default_driver
from harness.virtual.served import ServedTarget

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
SEEDS = int(os.environ.get("PROCNOTIFY_BREAK_IN_SEEDS", "1"))
POLL = 0.002
"""Seconds that pass for the target at each look at the clock: enough for it to look for a break-in, too."""
LOOKS = {"thirty-launches": 500}
"""Of how many looks one is a break-in; of other scenarios :data:`FEW`, which makes 2 to 20 a run."""
FEW = 25
SAMPLE = (("notepad-launch", "random"), ("create-remote-thread", "default"), ("driver-load-unload", "random"))
"""What is tried where nobody asks for more."""
CASES = [
    pytest.param(path, policy, id=f"{path.stem}-{policy}")
    for path in SCENARIOS
    for policy in POLICIES_TRIED
    if SEEDS > 1 or (path.stem, policy) in SAMPLE
]


class Switch:
    """Boots a target on a debugger's wire."""

    def __init__(self, debugger: MemoryDebugger, seed: int, policy: str) -> None:
        self._debugger, self._seed, self._policy = debugger, seed, policy

    words = "in memory"

    def boot(self) -> ServedTarget:
        return self._debugger.boot(seed=self._seed, policy=self._policy)


class Restless(MemoryDebugger):
    """Breaks in now and then: when a print arrives, or between two steps of the target's."""

    def __init__(self, seed: int, looks: int) -> None:
        super().__init__(list_modules_and_processes)
        self._random, self._looks = Random(seed), looks

    def now(self) -> float:
        self.time += POLL
        return self.time

    def receive(self) -> bytes | None:
        found = super().receive()
        if found is None and len(self.stops) > 0 and not self._random.randrange(self._looks):
            self.break_in()
        return found


@cache
def driver() -> GuestDriver:
    return read_driver(default_driver().path)


@cache
def helper() -> GuestFiles:
    built = default_actor()
    return GuestFiles(built.exe.path.read_bytes(), built.probe.path.read_bytes())


def heard(debugger: MemoryDebugger, path: Path, seed: int, policy: str) -> list[bytes]:
    """What the scenario prints."""
    serve(Switch(debugger, seed, policy), load(path), [driver()], helper, lambda _: None)
    return debugger.prints


@pytest.mark.parametrize(("path", "policy"), CASES)
def test_the_target_prints_the_same_bytes(path: Path, policy: str) -> None:
    stops = 0
    looks = LOOKS.get(path.stem, FEW)
    for seed in range(1, SEEDS + 1):
        silent, restless = MemoryDebugger(), Restless(seed, looks)
        expected = heard(silent, path, seed, policy)
        assert heard(restless, path, seed, policy) == expected, f"seed {seed}"
        assert len(expected) > 15
        stops += len(restless.stops) - len(silent.stops)
    assert stops >= SEEDS, "it broke in"
