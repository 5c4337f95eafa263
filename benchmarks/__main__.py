"""``python -m benchmarks``: what the harness costs, measured on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks import callbacks, check, stall
from harness.errors import ProcnotifyError

_AIM = 0.5
"""At most this part of the stall of each other debugger."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the harness costs here.")
    parser.add_argument(
        "--only",
        action="append",
        choices=tuple(_MEASUREMENTS),
        help="measure this alone (may be given several times); by default everything",
    )
    parser.add_argument(
        "--prints",
        type=_between(10, stall.MAX_PRINTS),
        default=5000,
        metavar="N",
        help="stall: DbgPrints in each measurement (%(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=_between(1, 1000),
        default=5,
        metavar="N",
        help="stall: measurements of each debugger, in turns; the median counts (%(default)s)",
    )
    parser.add_argument(
        "--pause",
        type=_between(0, 1_000_000),
        default=0,
        metavar="US",
        help="stall: microseconds of the target's own work between two DbgPrints (%(default)s)",
    )
    options = parser.parse_args(argv)
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
    found = stall.rounds(options.rounds, options.prints, options.pause, _progress)
    print(
        f"stall of the target per DbgPrint, virtual target, loopback, {options.prints} prints with "
        f"{options.pause} us between them; median of {options.rounds} rounds"
    )
    print(f"  {'':<16} {'median us':>10} {'p99 us':>10} {'prints/s':>10}")
    for one in found:
        if (figures := one.stall) is not None:
            print(
                f"  {one.name:<16} {figures.median:>10.1f} {figures.p99:>10.1f} {figures.per_second:>10,.0f}"
            )
        if one.missing:
            print(f"  {one.name:<16} left out: {one.missing}")
        if one.failures:
            print(f"  {one.name:<16} failed in {len(one.failures)} rounds: {one.failures[-1]}")
    _ratios({one.name: one.stall.median for one in found if one.stall is not None})
    return not any(one.failures for one in found)


def _ratios(medians: dict[str, float]) -> None:
    native = medians.get("native")
    others = [name for name in stall.DEBUGGERS if name != "native" and name in medians]
    if native is not None and others:
        ratios = ", ".join(f"{native / medians[name]:.2f} of {name}'s" for name in others)
        print(f"  native's median is {ratios} (the aim: {_AIM:.2f} or less)")


def _callbacks(options: argparse.Namespace) -> bool:
    print(f"emulated callbacks a second: {callbacks.measure():,.0f}")
    return True


def _check(options: argparse.Namespace) -> bool:
    for events in (250_000, 1_000_000):
        _progress(f"check, {events:,} events")
        rate, peak = check.measure(events)
        print(f"events checked a second, of {events:,}: {rate:,.0f}; peak memory {peak / 2**20:.1f} MiB")
    return True


_MEASUREMENTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "stall": _stall,
    "callbacks": _callbacks,
    "check": _check,
}
"""By name, in the order in which they run; each says whether it could be done."""


if __name__ == "__main__":
    sys.exit(main())
