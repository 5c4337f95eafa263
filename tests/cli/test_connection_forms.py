"""Connections as people paste them from WinDbg's ``-k``, from forum answers and from other tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kd_peer import free_udp_port

from harness.cli import cli
from harness.connection import FORMS
from harness.errors import ConnectionFailed, UsageError
from harness.outcome import Outcome


def record(connection: str) -> Result:
    return CliRunner().invoke(cli, ["record", connection, "--wait", "50ms", "--for", "1s"])


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        (",baud=115200,reconnect,resets=0", "baud=115200, resets=0"),
        (",Reconnect", None),
        ("", None),
    ],
)
def test_what_means_nothing_is_taken_and_told_once(tmp_path: Path, options: str, unused: str | None) -> None:
    result = record(f"com:pipe,port={tmp_path}/none{options}")
    assert isinstance(result.exception, ConnectionFailed)
    assert "no serial port at" in str(result.exception)
    told = [] if unused is None else [f"procnotify: taken, but without a meaning here: {unused}"]
    *first, waiting = result.stderr.splitlines()
    assert first == told
    assert waiting.startswith("procnotify: waiting for the target, at most ")


@pytest.mark.parametrize(
    ("connection", "named"),
    [
        ("tcp:port=5005,server=10.0.0.64", "'tcp:' joins another debugger's session"),
        ("winkd://10.0.0.64:5005:1.2.3.4", "'winkd:'"),
        ("com:port=COM1", "'baud'"),
        ("com:pipe,port=/x,parity=none", "'parity'"),
        ("usb:targetname=x", "'usb:'"),
    ],
)
def test_what_cannot_be_had_is_named_with_the_forms_that_can(connection: str, named: str) -> None:
    result = record(connection)
    assert isinstance(result.exception, UsageError)
    assert Outcome.of(result.exception) is Outcome.USAGE
    assert named in result.exception.message and FORMS in result.exception.hint


def test_the_upper_case_of_transport_options_and_key_is_theirs() -> None:
    result = record(f"NET:PORT={free_udp_port()},KEY=A.B.C.D")
    assert isinstance(result.exception, ConnectionFailed)
    assert "no target dialled UDP port" in str(result.exception)
