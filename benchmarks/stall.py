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
from typing import Any

from benchmarks.children import end_with_parent, running
from benchmarks.target import ACK_SIZE, MAX_PRINTS, TimedTarget, echo, line
from harness.debuggers import debugger_factory
from harness.debuggers.base import BugcheckSeen, Debugger, PrintReceived, Stopped
from harness.debuggers.connection import NetConnection, parse_connection
from harness.debuggers.ntoseye import NtoseyeMissing
from harness.debuggers.pykd import PykdMissing
from harness.errors import ConnectionFailed, LinesLost, RigError, TargetLost
from harness.run.rig import free_connection
from harness.virtual.kdstub import TargetEnded
from harness.wine.errors import WineMissing

__all__ = ["DEBUGGERS", "ECHO", "MAX_PRINTS", "Measured", "Stall", "measure", "measure_echo", "rounds"]

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


@dataclass(frozen=True)
class Stall:
    """One measurement, or the median of several."""

    median: float
    """Microseconds."""
    p99: float
    """Microseconds."""
    per_second: float
    """Prints a second, the target's own work included."""
    sizes: tuple[int, int]
    """Bytes of a print's datagram and of its answer."""

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Stall:
        """From what the target counted."""
        samples: list[int] = answer["samples"]
        kept = sorted(samples[min(WARM_UP, len(samples) // 5) :])
        sent, heard = answer["sizes"]
        return cls(
            median=statistics.median(kept) / 1000,
            p99=kept[int(len(kept) * 0.99)] / 1000,
            per_second=len(samples) / answer["seconds"],
            sizes=(sent, heard),
        )

    @classmethod
    def median_of(cls, found: list[Stall]) -> Stall:
        """Each figure's median."""
        return cls(
            median=statistics.median(stall.median for stall in found),
            p99=statistics.median(stall.p99 for stall in found),
            per_second=statistics.median(stall.per_second for stall in found),
            sizes=found[-1].sizes,
        )


@dataclass
class Measured:
    """What the rounds gave for one of them."""

    name: str
    stalls: list[Stall] = field(default_factory=list)
    missing: str = ""
    """Why this machine does not have it."""
    failures: list[str] = field(default_factory=list)

    @property
    def stall(self) -> Stall | None:
        """The median of the rounds."""
        return Stall.median_of(self.stalls) if self.stalls else None


def rounds(count: int, prints: int, pause: int, progress: Callable[[str], None]) -> list[Measured]:
    """Measure all of them ``count`` times, in turns.

    :param prints: in each measurement.
    :param pause: microseconds of the target's work between two prints.
    :param progress: told a line a round.
    """
    found = [Measured(name) for name in (ECHO, *DEBUGGERS)]
    for number in range(1, count + 1):
        words = []
        for one in found:
            if not one.missing:
                sleep(SETTLE_SECONDS)
                words.append(f"{one.name} {_measure_into(one, prints, pause)}")
        progress(f"stall, round {number} of {count}: {', '.join(words)}")
    return found


def _measure_into(one: Measured, prints: int, pause: int) -> str:
    """Measure once more; what became of it, in a word."""
    try:
        stall = measure_echo(prints) if one.name == ECHO else measure(one.name, prints, pause)
    except (NtoseyeMissing, PykdMissing, WineMissing) as reason:
        one.missing = str(reason)
        return "is not there"
    except RigError as error:
        one.failures.append(str(error))
        return "failed"
    one.stalls.append(stall)
    return f"{stall.median:.1f} us"


def measure(name: str, prints: int, pause: int = 0) -> Stall:
    """The debugger with this name against a target of its own; the parameters as for :func:`rounds`.

    :raises RigError: there is no such debugger here, it failed, or lines were lost or doubled.
    """
    connection = free_connection()
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    debugger = debugger_factory(name)(connection)
    try:
        debugger.listen()
    except BaseException:
        debugger.detach(timeout=0.0)
        raise
    words = (str(where.port), where.key.format(), str(prints), str(pause))
    with running("benchmarks.stall", "target", *words) as target:
        try:
            debugger.attach(timeout=ATTACH_SECONDS)
            debugger.go()
            _hear(debugger, prints)
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


def measure_echo(count: int) -> Stall:
    """Datagrams of a print's size against this process, which spins and answers with an ACK's size."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        answering.setblocking(False)
        with running("benchmarks.stall", "echo", str(answering.getsockname()[1]), str(count)) as child:
            answer, deadline, done = bytes(ACK_SIZE), monotonic() + PRINTS_SECONDS, 0
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
    """Run as a child: ``target PORT KEY PRINTS [PAUSE]`` or ``echo PORT COUNT``."""
    end_with_parent()
    match sys.argv[1:]:
        case ["echo", port, count]:
            print(json.dumps(echo(int(port), int(count))), flush=True)
        case ["target", port, key, prints, *pause]:
            target = TimedTarget(int(port), key)
            with suppress(TargetEnded):  # whoever listened knows why
                print(json.dumps(target.print_lines(int(prints), int("".join(pause) or 0))), flush=True)
                target.serve()
        case _:
            sys.exit(main.__doc__)


if __name__ == "__main__":
    main()
