"""Text logs in the forms that people have: DebugView's columns, a debugger's own words, encodings."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import Print, ProcessExit
from harness.grammars import builtin_grammar
from harness.trace.sources import TextLog, open_trace
from harness.trace.sources.logforms import DEBUGGER, DEBUGVIEW, form_of

LINE = "[procnotify] F PID(8) was terminated"
KEPT = [(ProcessExit, LINE), (Print, "  other [0]")]


def read(path: Path, data: str | bytes, encoding: str = "utf-8") -> tuple[TextLog, list[tuple[type, str]]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    source = open_trace(path)
    assert isinstance(source, TextLog)
    return source, [(type(event), event.line) for event in source]


DEBUGVIEW_LOGS = {
    "seconds": "00000001\t0.00000000\t{}\t\n00000002\t0.00001050\t{}\t\n",
    "without the last tab": "1\t0.0\t{}\r\n2\t0.5\t{}\r\n",
    "clock": "00000001\t10:23:45 AM\t{}\t\n00000002\t1:23:45 PM\t{}\t\n",
    "clock of 24 hours, with milliseconds": "1\t23:59:59.123\t{}\t\n2\t00:00:00,000\t{}\t\n",
    "clock with milliseconds": "1\t11:59:59.999 PM\t{}\t\n2\t12:00:00.000 AM\t{}\t\n",
    "spaces": "00000001 0.00000000 {}\n00000002 0.00001050 {}\n",
    "computer and empty rows": "[\\\\PC]\n1\t0.0\t{}\t\n2\t0.0\t\t\n3\t0.1\t{}\t\n",
}


@pytest.mark.parametrize("text", DEBUGVIEW_LOGS.values(), ids=DEBUGVIEW_LOGS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_debugview_s_columns_are_taken_off(tmp_path: Path, text: str, encoding: str) -> None:
    source, found = read(tmp_path / "x", text.format(LINE, "  other [0]"), encoding)
    assert found == KEPT
    assert source.header.machine["source"] == "DebugView log"


def test_a_debugview_log_is_one_without_a_line_of_ours(tmp_path: Path) -> None:
    _, found = read(tmp_path / "x", "1\t0.00000000\tone\t\n2\t0.00000000\ttwo\t\n")
    assert found == [(Print, "one"), (Print, "two")]


WINDBG = f"""
Microsoft (R) Windows Debugger Version 10.0.26100.1 AMD64
Copyright (c) Microsoft Corporation. All rights reserved.

Using NET for debugging
Opened WinSock 2.0
Waiting to reconnect...
Connected to target 192.0.2.7 on port 50000 on local IP 192.0.2.1.
You can get the target MAC address by running .kdtargetmac command.
Connected to Windows 10 19041 x64 target at (Sat Nov 28 10:00:00.000 2026 (UTC + 0:00)), ptr64 TRUE
Kernel Debugger connection established.
Symbol search path is: srv*
Windows 10 Kernel Version 19041 MP (2 procs) Free x64
Kernel base = 0xfffff800`10000000 PsLoadedModuleList = 0xfffff800`10c2a1b0
System Uptime: 0 days 0:00:01.234
KDTARGET: Refreshing KD connection
ModLoad: fffff800`1a2b0000 fffff800`1a2c0000   mydriver.sys
Break instruction exception - code 80000003 (first chance)
0: kd> g
1: kd> {LINE}
  other [0]
kd:x86> q
Closing open log file c:\\\\kd.log
"""


def test_what_the_debugger_says_is_left_out(tmp_path: Path) -> None:
    _, found = read(tmp_path / "x", WINDBG)
    assert found == KEPT


def test_a_line_of_the_driver_counts_whatever_it_looks_like() -> None:
    grammar = builtin_grammar()
    assert DEBUGGER.text_of("ModLoad: a", grammar) is None
    assert DEBUGGER.text_of("[procnotify] ModLoad: a", grammar) == "[procnotify] ModLoad: a"
    assert DEBUGGER.text_of("kd> [procnotify] x", grammar) == "[procnotify] x"
    assert DEBUGGER.text_of("1: kd> x", grammar) is None


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ([], DEBUGGER),
        (["1\t0.0\tx"], DEBUGVIEW),
        (["1\t0.0\tx", "y"], DEBUGGER),
        (["", "1\t0.0\tx", "2\t0.1\ty\t\r", "[\\\\PC]"], DEBUGVIEW),
    ],
)
def test_the_form_is_that_of_most_lines(lines: list[str], form: object) -> None:
    assert form_of(lines) is form


def test_an_encoding_that_changes_is_said(tmp_path: Path) -> None:
    data = f"{LINE}\n".encode() * 2 + f"{LINE}\n".encode("utf-16-le")
    path = tmp_path / "x"
    path.write_bytes(b"\n" * 66_000 + data)
    source = open_trace(path, builtin_grammar())
    assert len(list(source)) == 2
    assert "66003: from here on it is another encoding than utf-8-sig; convert it to one" in source.damage


@pytest.mark.parametrize("other", [f"{LINE}\n".encode("utf-16"), f"{LINE}\n".encode("utf-16-le"), bytes(9)])
def test_an_encoding_that_changes_at_the_beginning_is_said(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(f"{LINE}\n".encode() + other)
    source = open_trace(path)
    assert type(next(iter(source))) is ProcessExit
    assert len(list(source)) <= 2
    assert "from here on it is another encoding than utf-8-sig; convert it to one" in source.damage


def test_a_line_longer_than_any_keeps_its_row_s_columns_off(tmp_path: Path) -> None:
    _, found = read(tmp_path / "x", f"1\t0.0\t{'x' * 200_000}\t\n2\t0.1\t{LINE}\t\n")
    (_, flood), last = found
    assert flood.startswith("xxx") and "more characters" in flood
    assert last == (ProcessExit, LINE)
