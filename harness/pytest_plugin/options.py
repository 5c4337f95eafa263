"""The options of pytest: those of ``procnotify run``, each with ``--procnotify-`` before its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, as ``procnotify run`` has them."""
    group = parser.getgroup("procnotify", "procnotify scenarios")
    group.addoption(
        "--procnotify-machine",
        metavar="NAME",
        help="where the driver runs (default: what the project's file says, or virtual)",
    )
    group.addoption(
        "--procnotify-debugger",
        metavar="NAME",
        help="who listens: native, pykd, ntoseye, or none (default: what the project's file says, or native)",
    )
    group.addoption(
        "--procnotify-driver",
        action="append",
        default=[],
        metavar="FILE.sys",
        help="the driver to test (default: that of the project's file, or procnotify's own); of several the"
        " last, the others are loaded before it",
    )
    group.addoption(
        "--procnotify-seed",
        type=_at_least(0),
        metavar="N",
        help="seed of the virtual target (default: the scenario's own, or 1)",
    )
    group.addoption(
        "--procnotify-policy",
        metavar="NAME",
        help="who goes first in the virtual target where the order is open: default, random, urw,"
        " pct, pos"
        " (default: the scenario's own, or default)",
    )
    group.addoption(
        "--procnotify-processors",
        type=_at_least(1),
        metavar="N",
        help="how many the virtual target has, 1 to 8 (default: the scenario's own, or 2)",
    )
    group.addoption(
        "--procnotify-print-mask",
        action="append",
        default=[],
        metavar="MASK",
        help="which debug prints pass: 0xf, or COMPONENT=0xf (default: errors, as in Windows)",
    )
    group.addoption(
        "--procnotify-kdfiles",
        action="store_true",
        help="the target gets the drivers of its debugger (WinDbg's .kdfiles), and not from its own disk",
    )
    group.addoption(
        "--procnotify-lines",
        metavar="FILE",
        help="what the driver's lines look like, a line grammar (default: that of the project's file, the"
        " scenario's own, or that of procnotify's driver)",
    )
    group.addoption(
        "--procnotify-repeat",
        type=_at_least(1),
        default=1,
        metavar="N",
        help="an item for each of N seeds: seed, seed+1, ... (1)",
    )
    group.addoption(
        "--procnotify-connection",
        metavar="K",
        help="where the debugger listens, as for WinDbg's -k (default: a free port on loopback)",
    )
    group.addoption(
        "--procnotify-timeout",
        type=float,
        metavar="SECONDS",
        help="a target that neither prints nor answers for this long is lost (10)",
    )
    group.addoption(
        "--procnotify-step-timeout",
        type=float,
        metavar="SECONDS",
        help="a driver that prints without end during one step hangs after this long (60)",
    )
    group.addoption(
        "--procnotify-strict",
        action="store_true",
        help="a promise that could not be judged is an error",
    )
    group.addoption(
        "--procnotify-witness",
        metavar="NAME",
        help="on whose events the order is checked: print, the driver's lines, target, what the virtual"
        " target saw of the callbacks that it called, or breakpoint, what the debugger saw, which stops at"
        " them (default: the lines where they report callbacks, else"
        " the target)",
    )
    group.addoption(
        "--procnotify-without-rule",
        action="append",
        default=[],
        metavar="NAME",
        help="do not hold the driver to this standing rule",
    )
    group.addoption(
        "--procnotify-trace-dir",
        metavar="DIR",
        help="where the folder with this session's traces is made (default: what the project's file says, or"
        " traces)",
    )
    group.addoption(
        "--procnotify-html",
        metavar="FILE",
        help="write a report of the session's scenario runs that a browser opens, without any network",
    )


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise ValueError(text)
        return value

    return number
