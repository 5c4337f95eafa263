"""``python -m benchmarks``: what the harness costs, measured on this machine."""

from __future__ import annotations

from benchmarks import callbacks, check, stall


def main() -> None:
    """Measure everything and print a line a figure."""
    print("stall of the target per DbgPrint, loopback, microseconds   median      p99   prints/s")
    rows = [("bare UDP echo of the same sizes, spinning", stall.measure_echo())]
    rows.append(("native debugger", stall.measure_native()))
    for name, found in rows:
        print(f"  {name:<56} {found.median:>8.1f} {found.p99:>8.1f} {found.per_second:>10,.0f}")
    print(f"emulated callbacks a second: {callbacks.measure():,.0f}")
    rate, peak = check.measure()
    print(f"events checked a second, a trace of a million: {rate:,.0f}; peak memory {peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
