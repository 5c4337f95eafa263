"""The stall measurement measures something; how much is the machine's affair."""

from __future__ import annotations

from benchmarks.stall import Measured, Stall, measure, measure_echo
from benchmarks.target import ACK_SIZE, PRINT_SIZE


def plausible(stall: Stall) -> bool:
    return 0 < stall.median <= stall.p99 and stall.per_second > 0


def test_the_native_debugger_hears_every_print_of_the_target() -> None:
    stall = measure("native", 50)
    assert plausible(stall)
    assert stall.sizes == (PRINT_SIZE, ACK_SIZE)


def test_the_echo_has_the_sizes_of_a_print_and_its_ack() -> None:
    stall = measure_echo(50)
    assert plausible(stall)
    assert stall.sizes == (PRINT_SIZE, ACK_SIZE)


def test_each_figure_is_the_median_of_the_rounds() -> None:
    rounds = [Stall(1.0, 9.0, 300.0, (1, 2)), Stall(3.0, 5.0, 100.0, (1, 2)), Stall(2.0, 7.0, 200.0, (1, 2))]
    assert Measured("any", rounds).stall == Stall(2.0, 7.0, 200.0, (1, 2))
    assert Measured("any").stall is None
