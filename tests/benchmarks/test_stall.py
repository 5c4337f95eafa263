"""The stall measurement measures something; how much is the machine's affair."""

from __future__ import annotations

from benchmarks.stall import Figures, Measured, Stall, measure, measure_echo
from benchmarks.target import ACK_SIZE, PRINT_SIZE, Series

DENSE, SPARSE = Series(50), Series(10, pause=100)


def plausible(stall: Stall) -> bool:
    return stall.sizes == (PRINT_SIZE, ACK_SIZE) and all(
        0 < figures.median <= figures.p99 and figures.per_second > 0
        for figures in (stall.dense, stall.sparse)
    )


def test_the_native_debugger_hears_every_print_of_the_target() -> None:
    assert plausible(measure("native", DENSE, SPARSE))


def test_the_echo_has_the_sizes_of_a_print_and_its_ack() -> None:
    assert plausible(measure_echo(DENSE, SPARSE))


def test_each_figure_is_the_median_of_the_rounds() -> None:
    rounds = [Figures(1.0, 9.0, 300.0), Figures(3.0, 5.0, 100.0), Figures(2.0, 7.0, 200.0)]
    measured = Measured("any", [Stall(figures, figures, (1, 2)) for figures in rounds])
    assert measured.dense == measured.sparse == Figures(2.0, 7.0, 200.0)
    assert Measured("any").dense is None
