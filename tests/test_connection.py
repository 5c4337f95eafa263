"""Connections as WinDbg's -k writes them."""

from __future__ import annotations

import pytest

from harness.connection import (
    Connection,
    NetConnection,
    PipeConnection,
    SerialConnection,
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
    (
        r"Com:Pipe,Port=\\VMHost\pipe\x,Resets=0,Reconnect",
        PipeConnection(r"\\VMHost\pipe\x", reconnect=True),
        r"com:pipe,port=\\VMHost\pipe\x,reconnect",
    ),
    ("com:port=COM1,baud=115200", SerialConnection("COM1", 115200), "com:port=COM1,baud=115200"),
    (
        r"com:port=\\.\com2,baud=57600,reconnect",
        SerialConnection(r"\\.\com2", 57600, reconnect=True),
        r"com:port=\\.\com2,baud=57600,reconnect",
    ),
    (
        r"com:pipe,server,port=\\.\pipe\kd1",
        PipeConnection(r"\\.\pipe\kd1", server=True),
        r"com:pipe,port=\\.\pipe\kd1,server",
    ),
    (
        "com:reconnect,ipport=5554,Server,port=127.0.0.1",
        TcpConnection("127.0.0.1", 5554, server=True, reconnect=True),
        "com:ipport=5554,port=127.0.0.1,server,reconnect",
    ),
    (
        "net:port=50000,key=1.2.3.4,target=winbox.example.org",
        NetConnection(50000, KEY, "winbox.example.org"),
        "net:port=50000,key=1.2.3.4,target=winbox.example.org",
    ),
    (
        "net:port=50000,key=1.2.3.4,target=2001:db8::7",
        NetConnection(50000, KEY, "2001:db8::7"),
        "net:port=50000,key=1.2.3.4,target=2001:db8::7",
    ),
]


@pytest.mark.parametrize(("text", "connection", "canonical"), GOOD)
def test_a_connection_is_read_and_written(text: str, connection: Connection, canonical: str) -> None:
    assert parse_connection(text) == connection
    assert str(connection) == canonical
    assert parse_connection(canonical) == connection


UNUSED = [
    ("com:pipe,port=/x,baud=115200,reconnect,resets=0", ("baud=115200", "resets=0")),
    ("com:ipport=5554,port=::1,RESETS=2", ("resets=2",)),
    ("com:port=/dev/ttyS0,baud=9600,resets=0", ("resets=0",)),
    ("com:pipe,port=/x", ()),
    ("net:port=50000,key=1.2.3.4", ()),
]


@pytest.mark.parametrize(("text", "unused"), UNUSED)
def test_what_means_nothing_here_is_taken_and_kept_to_be_told(text: str, unused: tuple[str, ...]) -> None:
    assert parse_connection(text).unused == unused


BAD = [
    ("", "it names no transport"),
    ("net", "'net' is no option|nothing between two commas is no option"),
    ("net:", "nothing between two commas is no option of net:"),
    ("1.2.3.4", "it names no transport"),
    ("serial:port=COM1", "'serial:' is no transport"),
    ("usb:targetname=x", "'usb:' is a transport that this debugger does not have"),
    ("1394:channel=20,symlink=instance", "'1394:' is a transport"),
    ("tcp:port=5005,server=10.0.0.64", "'tcp:' joins another debugger's session"),
    ("npipe:server=x,pipe=y", "'npipe:' joins another debugger's session"),
    ("winkd://10.0.0.64:5005:1.2.3.4", "'winkd:' is written as for other tools"),
    ("kdsrv:server=@{tcp:server=x,port=1},trans=@{com:port=COM1,baud=9600}", "KD connection server"),
    ("com:modem", "'modem' is no option of com:"),
    ("net:port=50000", "net: lacks the option 'key'"),
    ("net:key=1.2.3.4", "net: lacks the option 'port'"),
    ("net:port=50000,key=1.2.3.4,target=10.0.0.300", "'10.0.0.300' is no address and no name"),
    ("net:port=50000,key=1.2.3.4,target=a b", "'a b' is no address and no name"),
    ("net:port=50000,key=1.2.3.4,target=", "'target' has no value"),
    (
        "net:port=50000,key=1.2.3.4,hostip=x",
        r"'hostip' is no option of net: \(its options: port, key, target",
    ),
    ("net:port=50000,key=1.2.3.4,baud=9600", "'baud' is no option of net:"),
    ("net:port=50000,port=50001,key=1.2.3.4", "'port' stands there twice"),
    ("net:port=0,key=1.2.3.4", "'0' is no port number"),
    ("net:port=65536,key=1.2.3.4", "'65536' is no port number"),
    ("net:port=²,key=1.2.3.4", "'²' is no port number"),
    ("net:port=50000,key=1.2.3", "four parts"),
    ("com:pipe,port=", "'port' has no value"),
    ("com:pipe", "com: with pipe lacks the option 'port'"),
    ("com:pipe=x,port=y", "'pipe' takes no value"),
    ("com:pipe,port=y,reconnect=1", "'reconnect' takes no value"),
    ("com:pipe,port=y,baud=fast", "'fast' of the option 'baud' is no number"),
    ("com:ipport=5554", "com: with ipport= lacks the option 'port'"),
    ("com:port=COM1", "com: lacks the option 'baud'"),
    ("com:port=COM1,baud=115200,server", "'server' is no option of com:"),
    ("com:pipe,port=y,server=yes", "'server' takes no value"),
    (r"com:port=\\.\pipe\x,baud=115200", "the option 'pipe' is missing"),
    ("com:port=COM1,baud=115200,parity=none", "'parity' is no option of com:"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_said_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse_connection(text)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "told"), [("net:port=50000", True), ("com:pipe", True), ("net:port=5,x", False)]
)
def test_what_powershell_makes_of_a_comma_is_said(text: str, told: bool) -> None:
    with pytest.raises(UsageError) as raised:
        parse_connection(text)
    assert ("in PowerShell it needs quotes" in raised.value.message) == told


def test_the_key_is_not_shown_to_people() -> None:
    with pytest.raises(UsageError) as raised:
        parse_connection("net:port=x,key=secretsecret.2.3.4")
    assert "secretsecret" not in str(raised.value)
    assert "secretsecret" not in repr(parse_connection("net:port=50000,key=secretsecret.2.3.4"))


@pytest.mark.parametrize(
    "text",
    ["secretsecret.2.3.4", "net:port=50000,secretsecret.2.3.4", "winkd://host:50000:secretsecret.2.3.4"],
)
def test_a_key_at_a_wrong_place_is_not_shown_either(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_connection(text)
    assert "secretsecret" not in str(raised.value)
