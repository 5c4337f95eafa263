"""The connection a debugger listens on, written as for WinDbg's ``-k``.

::

    net:port=50000,key=w.x.y.z[,target=ip]   KDNET: the target dials this UDP port
    com:ipport=5554,port=127.0.0.1           KDCOM over TCP, as QEMU's ``-serial tcp:...,server``
    com:pipe,port=/run/vm/com1               KDCOM over a Unix socket or a Windows named pipe

Source: WinDbg Command-Line Options, Microsoft's debugger documentation.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, TypeAlias

from harness.errors import UsageError
from harness.kd.kdnet import Key

__all__ = [
    "FORMS",
    "Connection",
    "NetConnection",
    "PipeConnection",
    "TcpConnection",
    "free_connection",
    "parse_connection",
]

FORMS = "net:port=50000,key=w.x.y.z  com:ipport=5554,port=127.0.0.1  com:pipe,port=/run/vm/com1"


@dataclass(frozen=True)
class NetConnection:
    """KDNET: the debugger binds the UDP port and the target dials it."""

    debugger_first: ClassVar[bool] = True
    """The debugger must listen before a target that is started for it; a serial port belongs to the machine
    and is there once the machine is."""
    port: int
    key: Key
    target: str | None = None
    """Address of a target that does not know the debugger's: it is asked to dial."""

    def __str__(self) -> str:
        """With the secret, as debuggers take it; ``repr`` is the form for people."""
        target = f",target={self.target}" if self.target is not None else ""
        return f"net:port={self.port},key={self.key.format()}{target}"


@dataclass(frozen=True)
class TcpConnection:
    """KDCOM: the debugger connects to a serial port that listens on TCP."""

    debugger_first: ClassVar[bool] = False
    host: str
    port: int

    def __str__(self) -> str:
        return f"com:ipport={self.port},port={self.host}"


@dataclass(frozen=True)
class PipeConnection:
    """KDCOM: the debugger connects to a Unix socket or a named pipe."""

    debugger_first: ClassVar[bool] = False
    path: str

    def __str__(self) -> str:
        return f"com:pipe,port={self.path}"


Connection: TypeAlias = NetConnection | TcpConnection | PipeConnection


def free_connection() -> NetConnection:
    """A KDNET connection on a UDP port of loopback that was free a moment ago, with a new key."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return NetConnection(port, Key.generate(secrets.token_bytes))


def parse_connection(text: str) -> Connection:
    """The connection that ``text`` describes; UsageError says what is wrong with it."""
    transport, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.partition("=")
        name = name.strip().lower()
        if name in options:
            raise _wrong(f"{name!r} stands there twice")
        options[name] = value.strip()
    names = frozenset(options)
    match transport.strip().lower():
        case "net" if names == {"port", "key"}:
            return NetConnection(_port(options["port"]), Key.parse(options["key"]))
        case "net" if names == {"port", "key", "target"}:
            target = _address(options["target"])
            return NetConnection(_port(options["port"]), Key.parse(options["key"]), target)
        case "com" if names == {"ipport", "port"}:
            return TcpConnection(options["port"], _port(options["ipport"]))
        case "com" if names == {"pipe", "port"} and options["port"] and not options["pipe"]:
            return PipeConnection(options["port"])
        case _:
            raise _wrong("its options fit no transport")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 0x10000):
        raise _wrong(f"{text!r} is no port number (1 to 65535)")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise _wrong(f"{text!r} is no IPv4 address of a target") from None


def _wrong(what: str) -> UsageError:
    # The text itself may hold the key, so it is not repeated.
    return UsageError(f"the connection is not understood: {what}", hint=f"known forms: {FORMS}")
