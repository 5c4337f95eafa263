"""``python -m benchmarks``: what the harness costs, measured on this machine; and NotifyBench."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import breakpoints, callbacks, check, scale, seeds, stall
from benchmarks.notifybench import command as notifybench
from benchmarks.target import MAX_LINES, Series
from harness.errors import ProcnotifyError

_AIM = 0.5
"""At most this part of the stall of each other debugger."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; progress goes to stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["notifybench"]:
        return notifybench.main(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What the harness costs here.",
        epilog="python -m benchmarks notifybench --help: policies against bugs of notify drivers",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=tuple(_MEASUREMENTS),
        help="measure this alone (may be given several times); by default everything",
    )
    parser.add_argument(
        "--prints",
        type=_between(50, MAX_LINES // 2),
        default=5000,
        metavar="N",
        help="stall: DbgPrints in a row in each measurement; a tenth of that with pauses (%(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=_between(1, 1000),
        default=5,
        metavar="N",
        help="stall, breakpoints: measurements of each debugger, or of each run, in turns; the median counts"
        " (%(default)s)",
    )
    parser.add_argument(
        "--pause",
        type=_between(0, 1_000_000),
        default=1000,
        metavar="US",
        help="stall: the pause, in microseconds (%(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=_between(50, 1_000_000),
        default=1000,
        metavar="N",
        help="seeds: runs of notepad-launch in each measurement (%(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=_between(1, 256),
        default=2,
        metavar="N",
        help="seeds: processes (%(default)s)",
    )
    parser.add_argument(
        "--events",
        type=_between(1000, 1_000_000_000),
        default=1_000_000,
        metavar="N",
        help="scale: events of the trace (%(default)s)",
    )
    options = parser.parse_args(words)
    try:
        failed = [
            name
            for name, measure in _MEASUREMENTS.items()
            if (not options.only or name in options.only) and not measure(options)
        ]
    except ProcnotifyError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    return 3 if failed else 0


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


def _progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _stall(options: argparse.Namespace) -> bool:
    dense, sparse = Series(options.prints), Series(max(options.prints // 10, 5), options.pause)
    found = stall.rounds(options.rounds, dense, sparse, _progress)
    print(f"stall of the virtual target per DbgPrint, loopback; us, the median of {options.rounds} rounds")
    print(f"{'':<16} | {f'{dense.prints} in a row':<28} | {sparse.prints}, {sparse.pause} us apart")
    print(f"{'':<16} | {'median':>8} {'p99':>8} {'prints/s':>10} | {'median':>8} {'p99':>8}")
    for one in found:
        if (close := one.dense) is not None and (apart := one.sparse) is not None:
            print(
                f"{one.name:<16} | {close.median:>8.1f} {close.p99:>8.1f} {close.per_second:>10,.0f} "
                f"| {apart.median:>8.1f} {apart.p99:>8.1f}"
            )
        if one.missing:
            print(f"{one.name:<16} | left out: {one.missing}")
        if one.failures:
            print(f"{one.name:<16} | failed in {len(one.failures)} rounds: {one.failures[-1]}")
    _ratios(found)
    return not any(one.failures for one in found)


def _ratios(found: list[stall.Measured]) -> None:
    native = next(one for one in found if one.name == "native")
    for one in found:
        if one.name in (stall.ECHO, native.name) or not (native.stalls and one.stalls):
            continue
        ratios = [
            ours.median / theirs.median
            for ours, theirs in ((native.dense, one.dense), (native.sparse, one.sparse))
            if ours is not None and theirs is not None
        ]
        print(
            f"native : {one.name:<7} | {ratios[0]:>8.2f} {'':>19} | {ratios[1]:>8.2f}   "
            f"(the aim: {_AIM:.2f} or less)"
        )


def _callbacks(options: argparse.Namespace) -> bool:
    print(f"emulated callbacks a second: {callbacks.measure():,.0f}")
    return True


def _seeds(options: argparse.Namespace) -> bool:
    _progress(f"seeds, {options.seeds:,} of notepad-launch")
    found = seeds.measure(options.seeds, options.jobs)
    print(
        f"seeds of notepad-launch a second: {found.per_second:,.1f} without a debugger in {options.jobs}"
        f" processes, {found.listened_per_second:,.1f} with the native one"
    )
    print(
        f"memory of one process: {found.memory / 2**20:.1f} MiB, {found.grown / 2**20:+.1f} MiB after"
        f" {options.seeds:,} seeds"
    )
    return True


def _check(options: argparse.Namespace) -> bool:
    for events in (250_000, 1_000_000):
        _progress(f"check, {events:,} events")
        rate, peak = check.measure(events)
        print(f"events checked a second, of {events:,}: {rate:,.0f}; peak memory {peak / 2**20:.1f} MiB")
    return True


def _orders(options: argparse.Namespace) -> bool:
    print("1,000,000 events against orders of so many patterns, and FileCheck on the same lines; s")
    print(f"{'patterns':>8} | {'seconds':>8} {'to the first':>12} {'peak MiB':>9} | FileCheck")
    first: check.Measured | None = None
    with tempfile.TemporaryDirectory() as folder:
        _progress("orders: writing the trace")
        for found in check.measure_orders(Path(folder)):
            _progress(f"orders, {found.patterns:,} patterns")
            first = first or found
            theirs, why = check.file_check(Path(folder), found.patterns)
            print(
                f"{found.patterns:>8,} | {found.seconds:>8.2f} {found.seconds / first.seconds:>12.2f} "
                f"{found.peak / 2**20:>9.1f} | {why if theirs is None else f'{theirs:.2f}'}",
                flush=True,
            )
    return True


def _breakpoints(options: argparse.Namespace) -> bool:
    found = breakpoints.measure(options.rounds, _progress)
    print(
        f"a callback at a breakpoint: {found.milliseconds:.1f} ms; notepad-launch with {found.callbacks} of"
        f" them {found.watched_seconds:.2f} s, without {found.seconds:.2f} s (the median)"
    )
    return True


def _scale(options: argparse.Namespace) -> bool:
    events = options.events // scale.LIFE * scale.LIFE
    print(f"a trace of {events:,} events in columns, a task a process")
    print(f"{'':<12} | {'events':>13} {'seconds':>9} {'events/s':>11} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for task in scale.TASKS:
            of = min(events, scale.PM4PY_EVENTS) if task == "log skeleton" else events
            _progress(f"scale, {task} {of:,} events")
            found = scale.measure(task, Path(folder), of)
            if found.missing:
                print(f"{task:<12} | left out: {found.missing}", flush=True)
                continue
            print(
                f"{task:<12} | {of:>13,} {found.seconds:>9.1f} {of / found.seconds:>11,.0f}"
                f" {found.peak / 2**20:>9.1f}",
                flush=True,
            )
    return True


_MEASUREMENTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "stall": _stall,
    "callbacks": _callbacks,
    "breakpoints": _breakpoints,
    "seeds": _seeds,
    "check": _check,
    "orders": _orders,
    "scale": _scale,
}
"""By name, in the order in which they run; each says whether it could be done."""


if __name__ == "__main__":
    sys.exit(main())
