"""How long the target stands still for one DbgPrint under each debugger, beside a bare UDP echo.

All debuggers listen to the same target: a child process with the project's virtual target, which dials, is
let go, and prints through its KD stub (:mod:`benchmarks.target`). The measurements take turns, in rounds,
and the median of the rounds counts: so a machine that is busy for a while disturbs all alike.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, NamedTuple

from benchmarks.children import end_with_parent, running
from benchmarks.target import ACK_SIZE, Series, TimedTarget, echo, line
from harness.connection import NetConnection, free_connection, parse_connection
from harness.debuggers import debugger_factory
from harness.debuggers.base import BugcheckSeen, Debugger, PrintReceived, Stopped
from harness.debuggers.ntoseye import NtoseyeMissing
from harness.debuggers.pykd.debugger import PykdMissing
from harness.errors import ConnectionFailed, LinesLost, RigError, TargetLost
from harness.virtual.stub.stub import TargetEnded
from harness.wine.errors import WineMissing

__all__ = ["DEBUGGERS", "ECHO", "Figures", "Measured", "Stall", "measure", "measure_echo", "rounds"]

ECHO = "bare UDP echo"
DEBUGGERS = ("native", "ntoseye", "pykd")
WARM_UP = 200
"""Prints that are not counted: caches are cold, and a debugger looks around after its target has begun to
run. At most a fifth."""
SETTLE_SECONDS = 0.5
"""What the measurement before has left behind (a worker's Wine server, for one) comes to rest meanwhile."""
ATTACH_SECONDS = 60.0
PRINTS_SECONDS = 120.0
DETACH_SECONDS = 10.0
ANSWER_SECONDS = 10.0
_MARK = line(0).decode().partition("{")[0]
"""How the lines begin: a debugger may have other prints to report."""


class Figures(NamedTuple):
    """Of a series of prints, or each the median of several such figures."""

    median: float
    """Microseconds."""
    p99: float
    """Microseconds."""
    per_second: float
    """Prints a second, the target's own work included."""

    @classmethod
    def of(cls, samples: list[int], seconds: float) -> Figures:
        """From a series' samples in nanoseconds."""
        kept = sorted(samples[min(WARM_UP, len(samples) // 5) :])
        p99 = kept[int(len(kept) * 0.99)]
        return cls(statistics.median(kept) / 1000, p99 / 1000, len(samples) / seconds)


@dataclass(frozen=True)
class Stall:
    """One measurement."""

    dense: Figures
    """Each print as soon as the one before is acknowledged."""
    sparse: Figures
    """With a pause between them, in which whoever listens may fall asleep."""
    sizes: tuple[int, int]
    """Bytes of a print's datagram and of its answer."""

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Stall:
        """From what the target counted."""
        dense, sparse = map(Figures.of, answer["samples"], answer["seconds"])
        sent, heard = answer["sizes"]
        return cls(dense, sparse, (sent, heard))


@dataclass
class Measured:
    """What the rounds gave for one of them."""

    name: str
    stalls: list[Stall] = field(default_factory=list)
    missing: str = ""
    """Why this machine does not have it."""
    failures: list[str] = field(default_factory=list)

    @property
    def dense(self) -> Figures | None:
        """The median of the rounds; None where none succeeded."""
        return _median([stall.dense for stall in self.stalls])

    @property
    def sparse(self) -> Figures | None:
        """The same for the prints with pauses."""
        return _median([stall.sparse for stall in self.stalls])


def _median(found: list[Figures]) -> Figures | None:
    return Figures(*map(statistics.median, zip(*found, strict=True))) if found else None


def rounds(count: int, dense: Series, sparse: Series, progress: Callable[[str], None]) -> list[Measured]:
    """Measure all of them ``count`` times, in turns.

    :param progress: told a line a round.
    """
    found = [Measured(name) for name in (ECHO, *DEBUGGERS)]
    for number in range(1, count + 1):
        words = []
        for one in found:
            if not one.missing:
                sleep(SETTLE_SECONDS)
                words.append(f"{one.name} {_measure_into(one, dense, sparse)}")
        progress(f"stall, round {number} of {count}: {', '.join(words)}")
    return found


def _measure_into(one: Measured, dense: Series, sparse: Series) -> str:
    """Measure once more; what became of it, in a word."""
    try:
        stall = measure_echo(dense, sparse) if one.name == ECHO else measure(one.name, dense, sparse)
    except (NtoseyeMissing, PykdMissing, WineMissing) as reason:
        one.missing = str(reason)
        return "is not there"
    except RigError as error:
        one.failures.append(str(error))
        return "failed"
    one.stalls.append(stall)
    return f"{stall.dense.median:.1f} us"


def measure(name: str, dense: Series, sparse: Series) -> Stall:
    """The debugger with this name against a target of its own.

    :raises RigError: there is no such debugger here, it failed, or lines were lost or doubled.
    """
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    debugger = debugger_factory(name)(connection)
    try:
        debugger.listen()
    except BaseException:
        debugger.detach(timeout=0.0)
        raise
    words = (str(where.port), where.key.format(), str(dense), str(sparse))
    with running("benchmarks.stall", "target", *words) as target:
        try:
            debugger.attach(timeout=ATTACH_SECONDS)
            debugger.go()
            _hear(debugger, dense.prints + sparse.prints)
            return Stall.of(target.answer(timeout=ANSWER_SECONDS))
        finally:
            debugger.detach(timeout=DETACH_SECONDS)  # while there is still a target to let go


def _hear(debugger: Debugger, prints: int) -> None:
    """Take the target's lines: each of them, once, in order."""
    heard = _lines(debugger, monotonic() + PRINTS_SECONDS)
    for number in range(prints):
        text = next(heard)
        if text != line(number).decode():
            raise LinesLost(f"{debugger.name} reported {text!r} where print {number} of {prints} was due")
    with suppress(TargetLost):
        text = next(_lines(debugger, monotonic() + 0.1))
        raise LinesLost(f"{debugger.name} reported {text!r} after the last of {prints} prints")


def _lines(debugger: Debugger, deadline: float) -> Iterator[str]:
    while (left := deadline - monotonic()) > 0:
        match debugger.receive(timeout=left):
            case PrintReceived(text=text) if text.startswith(_MARK):
                yield text
            case Stopped() | BugcheckSeen() as event:
                raise TargetLost(f"the target stopped while it printed: {event}")
    raise TargetLost(f"{debugger.name} reported no more prints")


def measure_echo(dense: Series, sparse: Series) -> Stall:
    """Datagrams of a print's size against this process, which spins and answers with an ACK's size."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        answering.setblocking(False)
        words = (str(answering.getsockname()[1]), str(dense), str(sparse))
        with running("benchmarks.stall", "echo", *words) as child:
            answer, deadline, done = bytes(ACK_SIZE), monotonic() + PRINTS_SECONDS, 0
            count = dense.prints + sparse.prints
            while done < count:
                try:
                    _, address = answering.recvfrom(2048)
                except BlockingIOError:
                    if monotonic() > deadline:
                        raise ConnectionFailed(f"the echo heard {done} of {count} datagrams") from None
                    continue
                answering.sendto(answer, address)
                done += 1
            return Stall.of(child.answer(timeout=ANSWER_SECONDS))


def main() -> None:
    """Run as a child: ``target PORT KEY SERIES...`` or ``echo PORT SERIES...``."""
    end_with_parent()
    match sys.argv[1:]:
        case ["echo", port, *series]:
            print(json.dumps(echo(int(port), *map(Series.parse, series))), flush=True)
        case ["target", port, key, *series]:
            target = TimedTarget(int(port), key)
            with suppress(TargetEnded):  # whoever listened knows why
                print(json.dumps(target.print_lines(*map(Series.parse, series))), flush=True)
                target.serve()
        case _:
            sys.exit(main.__doc__)


if __name__ == "__main__":
    main()
