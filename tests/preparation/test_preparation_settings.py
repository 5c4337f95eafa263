"""What a preparation can be asked for, and what no command line of Windows could carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import UsageError
from harness.kd.kdnet import Key
from harness.preparation import GuestSettings, NetworkDebugging, SerialDebugging

KEY = Key.parse("1.2.3.4")
NET = NetworkDebugging("10.0.2.2", 50000, KEY)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NetworkDebugging("host.example", 50000, KEY), "no IPv4 address"),
        (lambda: NetworkDebugging("fe80::1", 50000, KEY), "no IPv4 address"),
        (lambda: NetworkDebugging("10.0.2.2", 49151, KEY), "does not dial UDP port 49151; choose 49152"),
        (lambda: NetworkDebugging("10.0.2.2", 65536, KEY), "does not dial UDP port 65536"),
        (lambda: NetworkDebugging("10.0.2.2", 50000, KEY, "0.25"), "no place on a bus"),
        (lambda: NetworkDebugging("10.0.2.2", 50000, KEY, "0.25.0 & del"), "no place on a bus"),
        (lambda: SerialDebugging(5), "COM5 cannot carry KD"),
        (lambda: SerialDebugging(0), "COM0 cannot carry KD"),
        (lambda: GuestSettings(NET, folder="/tmp"), "no folder"),
        (lambda: GuestSettings(NET, folder=r"C:\a&b"), "no folder"),
        (lambda: GuestSettings(NET, folder=r"C:\%TEMP%"), "no folder"),
        (lambda: GuestSettings(NET, folder=r"C:\a\..\b"), "no folder"),
        (lambda: GuestSettings(NET, serve_port="COM2 & x"), "no serial port"),
        (lambda: GuestSettings(SerialDebugging(2), serve_port="COM2"), "belongs to the kernel debugger"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        make()
    assert words in str(refused.value)


def test_the_ends_of_the_ranges_are_taken() -> None:
    assert NetworkDebugging("10.0.2.2", 49152, KEY).port == 49152
    assert NetworkDebugging("10.0.2.2", 65535, KEY, "0.25.0").port == 65535
    assert SerialDebugging(4).port == 4
    assert GuestSettings(SerialDebugging(1), serve_port="COM2").serve_port == "COM2"
