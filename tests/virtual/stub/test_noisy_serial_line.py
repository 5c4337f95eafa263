"""A driver's life over a serial line that loses, doubles and changes bytes: the same lines, none halted."""

from __future__ import annotations

from random import Random

import pytest
from kd_debugger import MemoryDebugger
from noise import Noise

from harness.virtual.clock import SECOND
from harness.virtual.served import ServedTarget

pytestmark = pytest.mark.usefixtures("kdcom")

SILENT = Noise()
BREAK_IN_AGAIN = 0.5


class NoisyDebugger(MemoryDebugger):
    """A debugger at a noisy line. It breaks in until its first stop: a break-in may be lost."""

    def __init__(self, noise: Noise, seed: int) -> None:
        super().__init__()
        self.faults = 0
        self._noise = noise
        self._random = Random(seed)
        self._break_in_at = BREAK_IN_AGAIN

    def _damage(self, data: bytes) -> bytes:
        damaged, faults = self._noise.damage(data, self._random)
        self.faults += faults
        return damaged

    def send(self, data: bytes) -> None:
        super().send(self._damage(data))

    def _flush(self) -> None:
        self._incoming.extend(self._damage(data) for data, _ in self._session.datagrams_to_send())

    def wait(self, timeout: float | None) -> None:
        if self._incoming:
            return
        deadline = self._session.deadline()
        due = (
            self.time + (timeout or 0.0) if deadline is None else min(self.time + (timeout or 0.0), deadline)
        )
        super().wait(max(due - self.time, 0.0))
        if deadline is not None and self.time >= deadline:
            self._session.handle_timer(self.time)
            super().send(b"")  # what has come of it
        if not self.stops and self.time >= self._break_in_at:
            self._break_in_at = self.time + BREAK_IN_AGAIN
            self.break_in()


def live(debugger: MemoryDebugger, driver: bytes) -> ServedTarget:
    target = debugger.attached(seed=3)
    assert target.load_driver("procnotify", target.put("procnotify.sys", driver)) == 0
    target.act(["launch", "notepad.exe"], 1)
    target.settle(SECOND, 5 * SECOND)
    assert target.unload_driver("procnotify") == 0
    return target


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "noise",
    [
        Noise(lost=1e-3),
        Noise(doubled=1e-3),
        Noise(changed=1e-3),
        Noise(lost=3e-4, changed=3e-4, doubled=3e-4),
    ],
    ids=["lost", "doubled", "changed", "all"],
)
def test_a_driver_prints_the_same_over_a_noisy_line(procnotify: bytes, noise: Noise, seed: int) -> None:
    silent, noisy = NoisyDebugger(SILENT, seed), NoisyDebugger(noise, seed)
    live(silent, procnotify)
    target = live(noisy, procnotify)
    assert noisy.prints == silent.prints
    assert len(noisy.prints) > 50
    assert noisy.faults > 10
    assert silent.faults == 0
    assert target.debugger_present
    assert not target.stub.halted
    assert target.status().state == "running"
