"""Prints through the real native debugger behind a UDP proxy that loses, doubles, delays and damages.

By default a sample; PROCNOTIFY_PROXY_PRINTS=100000 prints a hundred thousand.
"""

from __future__ import annotations

import heapq
import os
import selectors
import socket
import threading
from collections import Counter
from random import Random
from time import monotonic

from kd_peer import KEY, ThinTarget, free_udp_port

from harness.debuggers.base import PrintReceived
from harness.debuggers.native.debugger import NativeDebugger

PRINTS = int(os.environ.get("PROCNOTIFY_PROXY_PRINTS", "2000"))
QUIET_SECONDS = 30.0
"""So long nothing comes only when something is lost for good."""
RETRANSMIT = 0.02
"""The target's, in seconds: with Windows' half second the loss itself would take most of the time."""


class Proxy:
    """Between a target, which dials :attr:`port`, and a debugger on ``debugger_port``."""

    def __init__(self, debugger_port: int, seed: int) -> None:
        self._random = Random(seed)
        self._target_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._target_side.bind(("127.0.0.1", 0))
        self._debugger_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._debugger_side.connect(("127.0.0.1", debugger_port))
        self.port = int(self._target_side.getsockname()[1])
        self._target: tuple[str, int] | None = None
        self._delayed: list[tuple[float, int, bool, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Proxy:
        for side in (self._target_side, self._debugger_side):
            side.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._target_side.close()
        self._debugger_side.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._target_side, selectors.EVENT_READ, True)
            selector.register(self._debugger_side, selectors.EVENT_READ, False)
            while not self._over.is_set():
                while self._delayed and self._delayed[0][0] <= monotonic():
                    _, _, to_debugger, data = heapq.heappop(self._delayed)
                    self._pass_on(data, to_debugger)
                for key, _ in selector.select(0.005 if self._delayed else 0.05):
                    self._take(key.data)

    def _take(self, to_debugger: bool) -> None:
        try:
            if to_debugger:
                data, self._target = self._target_side.recvfrom(4096)
            else:
                data = self._debugger_side.recv(4096)
        except OSError:
            return  # nothing there, or nobody listened to an earlier one
        chance = self._random.random
        self.counts["datagrams"] += 1
        if chance() < 0.02:
            self.counts["lost"] += 1
            return
        for copy in range(2 if chance() < 0.05 else 1):
            self.counts["doubled"] += copy
            self._damage_or_delay(data, to_debugger)

    def _damage_or_delay(self, data: bytes, to_debugger: bool) -> None:
        random = self._random
        if random.random() < 0.02:
            self.counts["flipped"] += 1
            damaged = bytearray(data)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            data = bytes(damaged)
        if random.random() < 0.03:
            self.counts["late"] += 1
            due = monotonic() + random.choice((0.001, 0.03, 0.1))
            heapq.heappush(self._delayed, (due, self.counts["datagrams"], to_debugger, data))
        else:
            self._pass_on(data, to_debugger)

    def _pass_on(self, data: bytes, to_debugger: bool) -> None:
        try:
            if to_debugger:
                self._debugger_side.send(data)
            elif self._target is not None:
                self._target_side.sendto(data, self._target)
        except OSError:
            return  # lost


def test_every_print_arrives_once_and_in_order() -> None:
    debugger = NativeDebugger(f"net:port={(port := free_udp_port())},key={KEY.format()}", spin=0.0)
    debugger.listen()
    try:
        with Proxy(port, seed=7) as proxy, ThinTarget.kdnet(proxy.port, retransmit=RETRANSMIT) as target:
            debugger.attach(timeout=60)
            debugger.go()
            for number in range(PRINTS):
                target.print(f"line {number}\n")
            heard: list[str] = []
            last = monotonic()
            while len(heard) < PRINTS and monotonic() - last < QUIET_SECONDS:
                if isinstance(event := debugger.receive(timeout=1.0), PrintReceived):
                    heard.append(event.text)
                    last = monotonic()
            while (event := debugger.receive(timeout=0.3)) is not None:
                if isinstance(event, PrintReceived):
                    heard.append(event.text)  # one too many
            print(f"{len(heard)} of {PRINTS} prints; {dict(proxy.counts)}")
            assert heard == [f"line {number}\n" for number in range(PRINTS)]
            assert {"lost", "doubled", "flipped", "late"} <= set(proxy.counts)
            assert debugger.detach(timeout=10).running is True
    finally:
        debugger.detach(timeout=0.5)
