"""Connections as WinDbg's -k writes them."""

from __future__ import annotations

import pytest

from harness.connection import (
    Connection,
    NetConnection,
    PipeConnection,
    TcpConnection,
    parse_connection,
)
from harness.errors import UsageError
from harness.kd.kdnet import Key

KEY = Key.parse("1.2.3.4")

GOOD: list[tuple[str, Connection, str]] = [
    ("net:port=50000,key=1.2.3.4", NetConnection(50000, KEY), "net:port=50000,key=1.2.3.4"),
    (
        "net:port=50000,key=1.2.3.4,target=192.0.2.7",
        NetConnection(50000, KEY, "192.0.2.7"),
        "net:port=50000,key=1.2.3.4,target=192.0.2.7",
    ),
    ("NET:Key=1.2.3.4, Port=65535", NetConnection(65535, KEY), "net:port=65535,key=1.2.3.4"),
    (
        "com:ipport=5554,port=127.0.0.1",
        TcpConnection("127.0.0.1", 5554),
        "com:ipport=5554,port=127.0.0.1",
    ),
    ("com:pipe,port=/run/vm/com1", PipeConnection("/run/vm/com1"), "com:pipe,port=/run/vm/com1"),
    (r"com:port=\\.\pipe\com_1,pipe", PipeConnection(r"\\.\pipe\com_1"), r"com:pipe,port=\\.\pipe\com_1"),
]


@pytest.mark.parametrize(("text", "connection", "canonical"), GOOD)
def test_a_connection_is_read_and_written(text: str, connection: Connection, canonical: str) -> None:
    assert parse_connection(text) == connection
    assert str(connection) == canonical
    assert parse_connection(canonical) == connection


BAD = [
    ("", "fit no transport"),
    ("net", "fit no transport"),
    ("usb:targetname=x", "fit no transport"),
    ("net:port=50000", "fit no transport"),
    ("net:port=50000,key=1.2.3.4,target=x", "'x' is no IPv4 address"),
    ("net:port=50000,key=1.2.3.4,hostip=x", "fit no transport"),
    ("net:port=50000,port=50001,key=1.2.3.4", "'port' stands there twice"),
    ("net:port=0,key=1.2.3.4", "'0' is no port number"),
    ("net:port=65536,key=1.2.3.4", "'65536' is no port number"),
    ("net:port=²,key=1.2.3.4", "'²' is no port number"),
    ("net:port=50000,key=1.2.3", "four parts"),
    ("com:pipe,port=", "fit no transport"),
    ("com:pipe=x,port=y", "fit no transport"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_said_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse_connection(text)
    assert raised.value.hint


def test_the_key_is_not_shown_to_people() -> None:
    with pytest.raises(UsageError) as raised:
        parse_connection("net:port=x,key=secretsecret.2.3.4")
    assert "secretsecret" not in str(raised.value)
    assert "secretsecret" not in repr(parse_connection("net:port=50000,key=secretsecret.2.3.4"))
