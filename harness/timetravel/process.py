"""Has the debugger's link while a run is played back: ``python -m harness.timetravel.process``.

Driven by JSON lines on stdin (:mod:`harness.virtual.control`), the first of which is ``load``. It ends when
stdin does, and everything that plays ends with it.

==========  =========================================  ====================================================
call        arguments                                  result
==========  =========================================  ====================================================
``load``    run (:class:`harness.timetravel.loading.   events, checkpoints: how many there are; end: the
            Wanted`), connection, hostip               event that the run ended with; it was played once,
                                                       and the target dials the debugger
``visit``   event, from 0                              kind, line, position: the target stands before that
                                                       event, or will when the debugger lets it go
``arrival``                                            fingerprint: of memory and registers at the position
                                                       where the target stands, empty where it has not
                                                       arrived
``leave``                                              {}: let go, the target idles where it stands
``stop``                                               {}: the process ends
==========  =========================================  ====================================================

Errors: ``usage``, ``rig``.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from contextlib import ExitStack
from typing import Any

import msgspec

from harness.connection import parse_connection
from harness.errors import InternalError, ProcnotifyError, RigError, UsageError
from harness.timetravel.channels import Connection
from harness.timetravel.loading import Wanted, load_playback
from harness.timetravel.playback import Index
from harness.timetravel.players import Players, Slots, make_players
from harness.timetravel.remotelink import RemoteLinkState, answer_for_link
from harness.virtual.control import ControlServer, Request
from harness.virtual.kdport import KdPort, open_kd_port
from harness.virtual.stub.link import TargetLink

__all__ = ["TravelProcess", "main"]

_IDLE_SECONDS = 1.0


class _Stopped(Exception):
    """The harness wants no more, or is gone: unwinds whatever the link was waiting for."""


class TravelProcess:
    """The process's main loop.

    :param control: the harness.
    :param loading: its request, to be answered when the run was played.
    :param players: who play the run.
    :param first: the channel of the one that plays it already.
    :param port: where the debugger is.
    """

    def __init__(
        self, control: ControlServer, loading: Request, players: Players, first: Connection, port: KdPort
    ) -> None:
        self._control = control
        self._loading: Request | None = loading
        self._players = players
        self._port = port
        self._link = TargetLink(port.session(), port.wire, time.perf_counter)
        self._index = Index([], [])
        self._player: Connection | None = None
        self._wanted: int | None = None
        """Where the target is to stand when the debugger lets it go."""
        self._fingerprints: dict[int, bytes] = {}
        """By position, at the first visit."""
        self._arrived = b""
        self._leaving = False
        self._failure: ProcnotifyError | None = None
        port.wire.watch(control.wake, self._take_requests)
        self._hear(first)

    def run(self) -> None:
        """Serve until the harness wants no more."""
        try:
            while True:
                if self._loading is None:
                    self._link.wait(_IDLE_SECONDS)
                else:
                    self._port.wire.wait(_IDLE_SECONDS)  # nothing is there yet that a debugger could have
        except _Stopped:
            self._port.wire.close()

    # The harness

    def _take_requests(self) -> None:
        for request in self._control.receive():
            try:
                self._control.answer(request, self._execute(request))
            except (KeyError, TypeError, ValueError) as error:
                self._control.refuse(request, "rig", f"{request.call}: bad arguments ({error!r})")
            except ProcnotifyError as error:
                _refuse(self._control, request, error)
            if request.call == "stop":
                raise _Stopped
        if self._control.closed:
            raise _Stopped

    def _execute(self, request: Request) -> dict[str, Any]:
        match request.call:
            case "stop":
                return {}
            case _ if self._failure is not None:
                raise self._failure
            case "visit":
                return self._visit(int(request.args["event"]))
            case "arrival":
                return {"fingerprint": self._arrived.hex()}
            case "leave":
                self._leaving = True
                return {}
        raise UsageError(f"unknown call {request.call!r}")

    def _visit(self, event: int) -> dict[str, Any]:
        places = self._index.places
        if not 0 <= event < len(places):
            raise UsageError(f"there is no event {event}")
        place, self._arrived = places[event], b""
        if self._player is None:
            self._play(place.position, ())
        else:
            self._wanted = place.position
        return {"kind": place.kind, "line": place.line, "position": place.position}

    # Those who play

    def _play(self, position: int, slots: Slots) -> None:
        self._wanted = None
        self._player = self._players.play_to(position, slots)
        self._hear(self._player)

    def _hear(self, player: Connection) -> None:
        self._port.wire.watch(player, lambda: self._take(player))

    def _forget(self, player: Connection) -> None:
        self._port.wire.unwatch(player)
        player.close()

    def _take(self, player: Connection) -> None:
        try:
            message = player.recv()
        except (EOFError, OSError):
            self._forget(player)
            self._fail(InternalError("the process that plays the run back has ended", hint="try it again"))
            return
        match message:
            case ("link", what, arguments, options):
                player.send((answer_for_link(self._link, what, arguments, options), self._state()))
            case ("arrived", position, digest, fingerprint):
                self._arrive(position, digest, fingerprint)
            case ("left", slots):
                self._forget(player)
                assert self._wanted is not None
                self._play(self._wanted, slots)
            case ("checkpoint", position):
                self._players.take(position, player)
            case ("thin", spacing):
                self._players.thin(spacing)
            case ("played", index):
                self._forget(player)
                self._played(index)
            case ("failed", error):
                self._forget(player)
                self._fail(error)

    def _state(self) -> RemoteLinkState:
        link = self._link
        return RemoteLinkState(
            present=link.present,
            break_in_wanted=link.break_in_wanted,
            reconnects=link.reconnects,
            knows_newcomers=link.knows_newcomers,
            leaving=self._leaving,
            travels=self._wanted is not None,
        )

    def _played(self, index: Index) -> None:
        if self._loading is None:
            self._fail(_not_repeated("it came to its end before that position"))
            return
        self._index = index
        loaded = {
            "events": len(index.places),
            "end": index.end,
            "checkpoints": self._players.checkpoints,
        }
        self._control.answer(self._loading, loaded)
        self._loading = None

    def _arrive(self, position: int, digest: bytes, fingerprint: bytes) -> None:
        if digest != self._index.digests[position]:
            self._fail(_not_repeated(f"something else was told before position {position}"))
        elif fingerprint != self._fingerprints.setdefault(position, fingerprint):
            self._fail(_not_repeated(f"memory or registers are others at position {position}"))
        else:
            self._arrived = fingerprint

    def _fail(self, error: ProcnotifyError) -> None:
        if self._loading is not None:
            _refuse(self._control, self._loading, error)
            raise _Stopped
        self._failure = self._failure or error


def _not_repeated(how: str) -> InternalError:
    return InternalError(
        f"the run did not repeat itself: {how}",
        hint="this is a fault of procnotify: please report it with the replay file and the driver",
    )


def _refuse(control: ControlServer, request: Request, error: ProcnotifyError) -> None:
    kind = "usage" if isinstance(error, UsageError) else "rig"
    control.refuse(request, kind, error.message, hint=error.hint)


def main() -> None:
    """Serve the harness that started this process."""
    line = json.loads(sys.stdin.buffer.readline())
    loading = Request(int(line["id"]), str(line["call"]), dict(line["args"]))
    with ExitStack() as closing:
        try:
            wanted = msgspec.convert(loading.args["run"], Wanted)
            connection = parse_connection(str(loading.args["connection"]))
            playback = closing.enter_context(load_playback(wanted))
            players = make_players(playback, checkpoints=wanted.checkpoints)
            first = players.play_first()  # forks, where it does, before there are threads
            port = open_kd_port(
                connection,
                str(loading.args["hostip"]),
                now=time.perf_counter,
                random_bytes=secrets.token_bytes,
            )
        except (UsageError, RigError) as error:
            _refuse(ControlServer(sys.stdin.buffer, sys.stdout.buffer), loading, error)
            return
        TravelProcess(ControlServer(sys.stdin.buffer, sys.stdout.buffer), loading, players, first, port).run()


if __name__ == "__main__":
    main()
