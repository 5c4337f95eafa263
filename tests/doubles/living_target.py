"""The virtual target on a thread of its own: it lives on, whatever becomes of its debugger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from harness.breakpoints.debugregisters import DR7_OFF
from harness.connection import parse_connection
from harness.toolchain import default_driver
from harness.virtual.kdport import open_kd_port
from harness.virtual.served import ServedTarget
from harness.virtual.stub.wire import WatchingWire

__all__ = ["PATIENCE", "LivingTarget", "calls_its_driver"]

HASTE = 20.0
"""How much faster than the wall clock the target's clock runs: it dials every 150 ms."""
PATIENCE = 60.0


class HastyWire:
    """The wire of a target whose clock runs fast."""

    def __init__(self, inner: WatchingWire) -> None:
        self.send, self.receive, self.close = inner.send, inner.receive, inner.close
        self._inner = inner

    def wait(self, timeout: float | None) -> None:
        self._inner.wait(None if timeout is None else timeout / HASTE)


class LivingTarget:
    """The virtual target on a thread of its own: it prints, looks after its link, and may be killed by it.

    :param live: what it does in a beat, besides.
    """

    def __init__(self, connection: str, live: Callable[[ServedTarget], None] = lambda target: None) -> None:
        def now() -> float:
            return monotonic() * HASTE

        port = open_kd_port(parse_connection(connection), "127.0.0.1", now=now)
        self._wire = HastyWire(port.wire)
        self._boot = lambda: ServedTarget(port.session(), self._wire, now=now, seed=1)
        self._live = live
        self.breakpoints: set[object] = set()
        """What its debug registers hold, and where a breakpoint instruction is planted; at the last beat."""
        self.beats = 0
        self.over = False
        """It does nothing any more; what ended it is pytest's to show."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            target = self._boot()
            while not self._stopping.is_set():
                target.stub.print_string(b"beat %d\n" % self.beats, 0)
                self._live(target)
                target.idle()
                assert target.status().state == "running", target.status()
                with self._changed:
                    self.breakpoints = breakpoints_of(target)
                    self.beats += 1
                    self._changed.notify_all()
        finally:
            with self._changed:
                self.over = True
                self._changed.notify_all()

    def __enter__(self) -> LivingTarget:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)
        self._wire.close()

    def must_run(self, when: str) -> None:
        """Its heart beats on."""
        with self._changed:
            before = self.beats
            assert self._changed.wait_for(lambda: self.beats > before + 1 or self.over, PATIENCE), when
            assert not self.over, when


def breakpoints_of(target: ServedTarget) -> set[object]:
    kernel, view = target._kernel, target.stub._view
    assert view is not None
    found: set[object] = set(view.breakpoints.addresses)
    for processor in range(kernel.processors):
        registers = kernel.debug_registers(processor)
        found |= {(name, registers[name]) for name in ("dr0", "dr1", "dr2", "dr3") if registers[name]}
        if registers["dr7"] != DR7_OFF:
            found.add(("dr7", registers["dr7"]))
    return found


def calls_its_driver(target: ServedTarget) -> None:
    """The driver registers its callbacks, which are called, and removes them."""
    path = target.put("watched.sys", default_driver().path.read_bytes())
    assert target.load_driver("watched", path) == 0
    target.act(["create-thread"], 1)
    target.act(["exit", "0"], 2)
    assert target.unload_driver("watched") == 0
