"""``python -m benchmarks notifybench``: policies against the bugs of notify drivers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.notifybench.bugs import BUGS
from benchmarks.notifybench.drivers import Drivers
from benchmarks.notifybench.search import Cell, Found, Survived, find, in_processes, survive
from harness.errors import ProcnotifyError
from harness.virtual.dispatcher.policies import POLICIES

__all__ = ["main"]

_WIDTH: Final = max(map(len, BUGS))
_EPILOG: Final = """\
example:
  python -m benchmarks notifybench --only removes-itself --only forgets-image-callback
  python -m benchmarks notifybench --mended 10000

exit codes: 0 every bug was found by some policy and no twin raised an alarm; 1 otherwise; 2 a mistake in the
command line; 3 the rig failed; 130 after Ctrl-C.
"""


def main(argv: Sequence[str]) -> int:
    """Measure and print; progress goes to stderr. The exit code."""
    options = _options(argv)
    bugs, policies = options.only or list(BUGS), options.policy or list(POLICIES)
    try:
        with TemporaryDirectory(prefix="procnotify-") as folder:
            _tell("building the drivers")
            drivers = Drivers(Path(folder), list(BUGS))
            if options.mended:
                return _try_twins(options, drivers, bugs, policies)
            return _try_bugs(options, drivers, bugs, policies)
    except ProcnotifyError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks notifybench",
        description="How many schedules each policy needs until each bug of a notify driver shows"
        " (docs/notifybench.md says what the bugs are).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=tuple(BUGS), help="this bug (several times)")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="this policy (several times)")
    parser.add_argument(
        "--seconds", type=_positive(float), default=60.0, metavar="S", help="for each cell (%(default)s)"
    )
    parser.add_argument(
        "--schedules", type=_positive(int), default=10_000, metavar="N", help="in each cell (%(default)s)"
    )
    parser.add_argument("--jobs", type=_positive(int), default=2, metavar="N", help="processes (%(default)s)")
    parser.add_argument(
        "--mended",
        type=_positive(int),
        metavar="N",
        help="try the mended twins instead: N schedules each, however long they take",
    )
    return parser.parse_args(argv)


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return number


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _try_bugs(options: argparse.Namespace, drivers: Drivers, bugs: list[str], policies: list[str]) -> int:
    cells = [
        Cell(bug, policy, drivers.file(bug, mended=False), options.schedules, options.seconds)
        for bug in bugs
        for policy in policies
    ]
    found: dict[tuple[str, str], Found] = {}
    for one in in_processes(find, cells, options.jobs):
        assert isinstance(one, Found)
        found[one.cell.bug, one.cell.policy] = one
        _tell(f"{len(found)} of {len(cells)}: {one.cell.bug}, {one.cell.policy}: {_words(one)}")
    print("schedules until a bug shows, and seconds; - (N): not in N schedules")
    print(" | ".join([f"{'':<{_WIDTH}}", *(f"{policy:<18}" for policy in policies)]))
    for bug in bugs:
        row = (f"{_words(found[bug, policy]):<18}" for policy in policies)
        print(" | ".join([f"{bug:<{_WIDTH}}", *row]))
    shown = [bug for bug in bugs if any(found[bug, policy].seed is not None for policy in policies)]
    print(f"{len(shown)} of {len(bugs)} found")
    for one in found.values():
        if one.other:
            print(f"{one.cell.bug}, {one.cell.policy}: something else was wrong: {one.other}")
    return 0 if len(shown) == len(bugs) and not any(one.other for one in found.values()) else 1


def _words(found: Found) -> str:
    if found.seed is None:
        return f"- ({found.schedules})"
    return f"{found.schedules} {found.seconds:.2f} s"


def _try_twins(options: argparse.Namespace, drivers: Drivers, bugs: list[str], policies: list[str]) -> int:
    cells = [
        Cell(bug, policy, drivers.file(bug, mended=True), options.mended, float("inf"))
        for bug in bugs
        for policy in policies
    ]
    alarms = 0
    print("schedules that the mended twins came through")
    for one in in_processes(survive, cells, options.jobs):
        assert isinstance(one, Survived)
        alarm = f" alarm at seed {one.seed}: {one.alarm}" if one.alarm else ""
        alarms += bool(one.alarm)
        print(
            f"{one.cell.bug:<{_WIDTH}} | {one.cell.policy:<10} | {one.schedules:>7}"
            f" in {one.seconds:.0f} s{alarm}",
            flush=True,
        )
    print(f"{alarms} alarms" if alarms else "no alarm")
    return 1 if alarms else 0
