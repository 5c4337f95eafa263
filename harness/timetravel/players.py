"""Processes that play a run back, each to one position; and the checkpoints that they begin at.

A checkpoint is a process that was forked from the run that was played first, and waits. It forks itself for
whoever wants a position behind it. All of them end when nobody is at the other end of their channel any more,
so at the latest with the process that has the link, however that ends. Where there is no fork (Windows),
every position is played to from the beginning, in a thread.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn, Protocol

from harness.errors import ProcnotifyError
from harness.internal import internal_error
from harness.timetravel.channels import Connection, channel
from harness.timetravel.playback import Playback
from harness.timetravel.remotelink import LinkGone, RemoteLink
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.served import DebuggerClock
from harness.virtual.stub.stub import KdStub
from harness.virtual.stub.view import DebuggerView

__all__ = ["MAX_CHECKPOINTS", "Players", "Slots", "make_players"]

MAX_CHECKPOINTS: Final = 64
"""Processes that wait at a time. Where there would be more, every other one goes and the distance between
those that come doubles; so no position is farther from one than a thirty-second of the run."""
FIRST_SPACING: Final = 64
"""Positions between two checkpoints of a short run."""
_IDLE_SECONDS: Final = 1.0

Slots = Sequence[int | None]
"""A breakpoint table: see :attr:`harness.virtual.stub.breakpoints.BreakpointTable.slots`."""


class Players(Protocol):
    """Whoever plays the run."""

    def play_first(self) -> Connection:
        """Play it to its end, without a debugger. What comes through the channel, as with :meth:`play_to`:

        - ``("checkpoint", position)``, then the channel's end itself
        - ``("thin", spacing)``: checkpoints whose position is no multiple are not wanted any more
        - ``("played", index)``: the end
        - ``("failed", error)``: nothing more comes
        - ``("arrived", position, digest, fingerprint)``
        - ``("link", what, arguments, options)``: to be answered, see :mod:`harness.timetravel.remotelink`
        - ``("left", slots)``: the debugger let the target go when it was to be elsewhere; nothing more comes
        """

    def play_to(self, wanted: int, slots: Slots) -> Connection:
        """Play it to a position, and stop there with these breakpoints planted."""

    def take(self, position: int, first: Connection) -> None:
        """Receive the checkpoint that was announced."""

    def thin(self, spacing: int) -> None:
        """Let checkpoints go."""

    @property
    def checkpoints(self) -> int:
        """How many there are."""


class _Left(LinkGone):
    """The debugger wants the target elsewhere: unwinds whatever the run was doing."""


class _Traveller:
    """Plays the run in this process; see :class:`harness.timetravel.positions.Traveller`."""

    def __init__(self, home: Connection, wanted: int | None = None, slots: Slots = ()) -> None:
        self.home = home
        self.wanted = wanted
        self.slots = slots
        self._link: RemoteLink | None = None
        self._stub: KdStub | None = None

    def passing(self, position: int) -> None:
        """No checkpoints."""

    def arrive(self, kernel: Kernel, digest: bytes) -> KdStub:
        """See :class:`harness.timetravel.positions.Traveller`."""
        try:
            self.home.send(("arrived", self.wanted, digest, fingerprint(kernel)))
        except OSError:
            raise LinkGone from None
        self._link = link = RemoteLink(self.home, time.perf_counter)

        def let_go() -> None:
            if link.state.travels:
                self.home.send(("left", view.breakpoints.slots))
                raise _Left
            while link.state.leaving:
                link.wait(_IDLE_SECONDS)
                stub.poll_hung()

        self._stub = stub = KdStub(link, time.perf_counter, let_go=let_go)
        view = DebuggerView(kernel, DebuggerClock(kernel.stopping.clock, stub))
        view.breakpoints.take_over(self.slots)
        stub.attach(kernel, view)
        return stub

    def rest(self, *, silent: bool) -> NoReturn:
        """See :class:`harness.timetravel.positions.Traveller`."""
        assert self._link is not None and self._stub is not None
        while True:
            self._link.wait(_IDLE_SECONDS, silent=silent)
            if not silent:
                self._stub.poll()


def fingerprint(kernel: Kernel) -> bytes:
    """A digest of the target's memory and of the registers of the processor that runs."""
    found = hashlib.blake2b(repr(sorted(kernel.registers().items())).encode(), digest_size=16)
    memory = kernel.memory
    for address, size in sorted(memory.ranges()):
        found.update(address.to_bytes(8, "little"))
        found.update(memory.read(address, size))
    return found.digest()


def _play(playback: Playback, traveller: _Traveller) -> None:
    """Play, and tell what came of it."""
    with suppress(OSError, LinkGone):  # nobody hears it any more
        try:
            index = playback.play(traveller)
        except ProcnotifyError as error:
            traveller.home.send(("failed", error))
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is told where somebody hears it
            traveller.home.send(("failed", internal_error(error)))
        else:
            traveller.home.send(("played", index))
    traveller.home.close()


class _FromTheBeginning:
    """:class:`Players` without checkpoints: threads of this process."""

    checkpoints = 0

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def play_first(self) -> Connection:
        return self._start(None, ())

    def play_to(self, wanted: int, slots: Slots) -> Connection:
        return self._start(wanted, slots)

    def take(self, position: int, first: Connection) -> None:
        raise NotImplementedError("nobody makes checkpoints here")

    def thin(self, spacing: int) -> None:
        raise NotImplementedError("nobody makes checkpoints here")

    def _start(self, wanted: int | None, slots: Slots) -> Connection:
        near, far = channel()
        traveller = _Traveller(far, wanted, slots)
        threading.Thread(target=_play, args=(self._playback, traveller), daemon=True).start()
        return near


if sys.platform != "win32":
    from harness.timetravel.channels import receive_end, send_end

    class _Forking(_Traveller):
        """Leaves checkpoints on its way, where it plays the run for the first time."""

        def __init__(self, home: Connection) -> None:
            super().__init__(home)
            self._spacing = FIRST_SPACING
            self._left_behind = 0

        def passing(self, position: int) -> None:
            if self.wanted is not None or position % self._spacing:
                return
            if self._left_behind == MAX_CHECKPOINTS:
                self._spacing *= 2
                self._left_behind = -(-position // self._spacing)
                self.home.send(("thin", self._spacing))
                if position % self._spacing:
                    return
            near, far = channel()
            gc.freeze()  # else looking for garbage writes to every object, and nothing is shared any more
            if not os.fork():
                near.close()
                self._wait_here(far)
                return
            far.close()
            try:
                self.home.send(("checkpoint", position))
                send_end(self.home, near)
            except OSError:
                raise LinkGone from None
            self._left_behind += 1

        def _wait_here(self, orders: Connection) -> None:
            """Be a checkpoint; returns in the processes that go on from it."""
            self.home.close()
            while True:
                try:
                    wanted, slots = orders.recv()
                    home = receive_end(orders)
                except (EOFError, OSError):
                    os._exit(0)
                if not os.fork():
                    orders.close()
                    self.home, self.wanted, self.slots = home, wanted, slots
                    return
                home.close()

    class _Forked:
        """:class:`Players` with checkpoints."""

        def __init__(self, playback: Playback) -> None:
            self._playback = playback
            self._waiting: dict[int, Connection] = {}

        @property
        def checkpoints(self) -> int:
            return len(self._waiting)

        def play_first(self) -> Connection:
            near, far = channel()
            if os.fork():
                far.close()
                return near
            near.close()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how one ended
            gc.collect()
            traveller = _Forking(far)
            try:
                _play(self._playback, traveller)
            finally:
                os._exit(0)

        def play_to(self, wanted: int, slots: Slots) -> Connection:
            nearest = max(position for position in self._waiting if position <= wanted)
            near, far = channel()
            orders = self._waiting[nearest]
            orders.send((wanted, slots))
            send_end(orders, far)
            return near

        def take(self, position: int, first: Connection) -> None:
            self._waiting[position] = receive_end(first)

        def thin(self, spacing: int) -> None:
            for position in [position for position in self._waiting if position % spacing]:
                self._waiting.pop(position).close()


def make_players(playback: Playback, *, checkpoints: bool = True) -> Players:
    """Those that this system has.

    :param checkpoints: False: none, as where there is no fork.
    """
    if checkpoints and sys.platform != "win32":
        return _Forked(playback)
    return _FromTheBeginning(playback)
