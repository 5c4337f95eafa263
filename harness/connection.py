"""The connection a debugger listens on, written as for WinDbg's ``-k``.

::

    net:port=50000,key=w.x.y.z[,target=NAME]  KDNET: the target dials this UDP port
    com:ipport=5554,port=127.0.0.1            KDCOM over TCP, as QEMU's ``-serial tcp:...,server``
    com:pipe,port=/run/vm/com1                KDCOM over a Unix socket, a pty or a Windows named pipe
    com:port=COM1,baud=115200                 KDCOM over a serial port of this machine
    com:...,reconnect                         one that is closed is opened again
    com:pipe,port=...,server                  the machine connects to the debugger; with ipport=, too

Options that WinDbg takes and that mean nothing here are accepted, and kept so that people can be told.
``server`` is not among WinDbg's, which is a pipe's client always; QEMU and VMware call that end so.

Source: Live Kernel-Mode Debugging Using WinDbg, and WinDbg Command-Line Options, Microsoft's debugger
documentation.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple, TypeAlias

from harness.errors import UsageError
from harness.kd.kdnet import Key

__all__ = [
    "FORMS",
    "Connection",
    "NetConnection",
    "PipeConnection",
    "SerialConnection",
    "TcpConnection",
    "free_connection",
    "parse_connection",
]

FORMS = (
    "net:port=50000,key=w.x.y.z  com:ipport=5554,port=127.0.0.1  com:pipe,port=/run/vm/com1  "
    "com:port=COM1,baud=115200"
)
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62}\.)*[a-z0-9_-]{0,62}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _Written:
    unused: tuple[str, ...] = field(default=(), compare=False)
    """Options that were written and have no meaning here."""


@dataclass(frozen=True)
class NetConnection(_Written):
    """KDNET: the debugger binds the UDP port and the target dials it."""

    port: int
    key: Key
    target: str | None = None
    """Address or name of a target that does not know the debugger's: it is asked to dial."""

    @property
    def debugger_first(self) -> bool:
        """The debugger listens before a target that is started for it. Otherwise the port belongs to the
        machine, and is there once the machine is."""
        return True

    def __str__(self) -> str:
        """With the secret, as debuggers take it; ``repr`` is the form for people."""
        target = f",target={self.target}" if self.target is not None else ""
        return f"net:port={self.port},key={self.key.format()}{target}"


@dataclass(frozen=True, kw_only=True)
class _SerialLine(_Written):
    reconnect: bool = False
    """A port that was closed, or failed, is opened again, as often as that happens."""

    def _with_options(self, form: str, *, server: bool = False) -> str:
        return f"{form}{',server' if server else ''}{',reconnect' if self.reconnect else ''}"


@dataclass(frozen=True)
class TcpConnection(_SerialLine):
    """KDCOM: the debugger connects to a serial port that listens on TCP, or listens for one."""

    host: str
    port: int
    server: bool = field(default=False, kw_only=True)
    """The debugger listens, at its own address ``host``, and the machine connects."""

    @property
    def debugger_first(self) -> bool:
        """See :attr:`NetConnection.debugger_first`."""
        return self.server

    def __str__(self) -> str:
        return self._with_options(f"com:ipport={self.port},port={self.host}", server=self.server)


@dataclass(frozen=True)
class PipeConnection(_SerialLine):
    """KDCOM: the debugger connects to a Unix socket or a named pipe, or serves one."""

    path: str
    server: bool = field(default=False, kw_only=True)
    """The debugger serves the pipe, and the machine connects."""

    @property
    def debugger_first(self) -> bool:
        """See :attr:`NetConnection.debugger_first`."""
        return self.server

    def __str__(self) -> str:
        return self._with_options(f"com:pipe,port={self.path}", server=self.server)


@dataclass(frozen=True)
class SerialConnection(_SerialLine):
    """KDCOM: the debugger opens a serial port of this machine."""

    device: str
    baud: int

    @property
    def debugger_first(self) -> bool:
        """See :attr:`NetConnection.debugger_first`."""
        return True

    def __str__(self) -> str:
        return self._with_options(f"com:port={self.device},baud={self.baud}")


Connection: TypeAlias = NetConnection | TcpConnection | PipeConnection | SerialConnection


def free_connection() -> NetConnection:
    """A KDNET connection on a UDP port of loopback that was free a moment ago, with a new key."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return NetConnection(port, Key.generate(secrets.token_bytes))


class _Form(NamedTuple):
    """One way to write a connection."""

    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


_NET: Final = _Form(("port", "key"), ("target",))
_TCP: Final = _Form(("ipport", "port"), ("server", "reconnect"), ("baud", "resets"))
_PIPE: Final = _Form(("pipe", "port"), ("server", "reconnect"), ("baud", "resets"))
_SERIAL: Final = _Form(("port", "baud"), ("reconnect",), ("resets",))
_FLAGS: Final = ("pipe", "server", "reconnect")
_NUMBERS: Final = ("baud", "resets")
_ELSEWHERE: Final = {
    **dict.fromkeys(("tcp", "npipe", "spipe", "ssl"), "joins another debugger's session (WinDbg's -remote)"),
    **dict.fromkeys(("usb", "usb2", "1394"), "is a transport that this debugger does not have"),
    "kdsrv": "goes through a KD connection server, which this debugger cannot",
    "exdi": "goes through an EXDI driver, which this debugger cannot",
    "winkd": "is written as for other tools",
}
"""What people write that is no connection here, and why."""


def parse_connection(text: str) -> Connection:
    """The connection that ``text`` describes; UsageError names what is wrong with it.

    Names of transports and options may be written in any letter case.
    """
    transport, colon, rest = text.partition(":")
    transport = transport.strip().lower()
    if transport in _ELSEWHERE:
        raise _wrong(f"'{transport}:' {_ELSEWHERE[transport]}")
    if transport not in ("net", "com"):
        known = transport.isalnum() and colon
        raise _wrong(f"'{transport}:' is no transport" if known else "it names no transport")
    options = _options(rest)
    if transport == "net":
        unused = _check(_NET, "net:", options)
        target = _target(options["target"]) if "target" in options else None
        return NetConnection(_port(options["port"]), Key.parse(options["key"]), target, unused=unused)
    reconnect, server = "reconnect" in options, "server" in options
    if "ipport" in options:
        unused = _check(_TCP, "com: with ipport=", options)
        host, port = options["port"], _port(options["ipport"])
        return TcpConnection(host, port, server=server, reconnect=reconnect, unused=unused)
    if "pipe" in options:
        unused = _check(_PIPE, "com: with pipe", options)
        return PipeConnection(options["port"], server=server, reconnect=reconnect, unused=unused)
    if "\\pipe\\" in options.get("port", "").lower():
        raise _wrong("port= is the path of a pipe, and the option 'pipe' is missing")
    unused = _check(_SERIAL, "com:", options)
    baud = _number("baud", options["baud"])
    return SerialConnection(options["port"], baud, reconnect=reconnect, unused=unused)


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        name = name.strip().lower()
        if name in options:
            raise _wrong(f"{_named(name)} stands there twice")
        options[name] = value.strip()
    return options


def _check(form: _Form, written: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """The options that mean nothing, once all of them are found to be in order."""
    for name in options:
        if name not in form.needs + form.takes + form.ignores:
            known = ", ".join(form.needs + form.takes)
            raise _wrong(f"{_named(name)} is no option of {written} (its options: {known})")
    for name in form.needs:
        if name not in options:
            quotes = (
                "" if len(options) > 1 else "; in PowerShell it needs quotes, because a comma parts arguments"
            )
            raise _wrong(f"{written} lacks the option {name!r}{quotes}")
    for name, value in options.items():
        if name in _FLAGS and value:
            raise _wrong(f"the option {name!r} takes no value")
        if name not in _FLAGS and not value:
            raise _wrong(f"the option {name!r} has no value")
        if name in _NUMBERS:
            _number(name, value)
    return tuple(
        f"{name}={options[name]}" if options[name] else name for name in options if name in form.ignores
    )


def _named(name: str) -> str:
    """For a message. Only what looks like a name: anything else may be a key at a wrong place."""
    if name.isascii() and name.isalpha() and len(name) <= 20:
        return f"'{name}'"
    return "something that is no option's name" if name else "nothing between two commas"


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _wrong(f"the value {text!r} of the option {name!r} is no number")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) < 0x10000):
        raise _wrong(f"{text!r} is no port number (1 to 65535)")
    return int(text)


def _target(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        # What ends in digits is an address with a mistake.
        if _HOST_NAME.fullmatch(text) is None or text.rpartition(".")[2].isdigit():
            raise _wrong(f"{text!r} is no address and no name of a target") from None
    return text


def _wrong(what: str) -> UsageError:
    # The text itself may hold the key, so it is not repeated.
    return UsageError(f"the connection is not understood: {what}", hint=f"known forms: {FORMS}")
