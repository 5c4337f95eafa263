"""How a machine of a file is reached for commands: its guest channel, and the guest helper in it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from harness.connection import PipeConnection, TcpConnection
from harness.errors import TargetLost
from harness.guests.channels.base import GuestChannel
from harness.guests.channels.qga import QgaChannel
from harness.guests.channels.serial import SerialChannel
from harness.guests.helper import HelperGuest
from harness.yamlfile.nodes import Node, Source

__all__ = ["CHANNELS", "DEFAULT_FOLDER", "Address", "GuestAccess", "MachineGuest", "read_guest"]

DEFAULT_FOLDER: Final = "C:\\procnotify"
"""The guest's work folder where a machine file names none."""

Address: TypeAlias = str | tuple[str, int]
"""Where a channel meets its guest: path of a Unix socket, or host and TCP port."""


class _Channel(NamedTuple):
    open: Callable[[Mapping[str, str], Address], GuestChannel]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Of the keys those that name files of the host."""
    choices: Mapping[str, tuple[str, ...]] = {}
    """What a key can be, where that is not any text."""
    over_tcp: bool = False
    """It cannot be at a Unix socket."""


def _open_qga(options: Mapping[str, str], address: Address) -> GuestChannel:
    return QgaChannel(address)


def _open_serial(options: Mapping[str, str], address: Address) -> GuestChannel:
    if isinstance(address, str):
        return SerialChannel(PipeConnection(address))
    host, port = address
    return SerialChannel(TcpConnection(host, port))


def _open_ssh(options: Mapping[str, str], address: Address) -> GuestChannel:
    # It takes a while to import, and only some machines need it.
    from harness.guests.channels.ssh import SshChannel

    assert not isinstance(address, str)
    host, port = address
    return SshChannel(
        host,
        port=port,
        user=options["user"],
        host_key=options["host_key"],
        key_file=Path(options["key_file"]) if "key_file" in options else None,
        shell="cmd" if options.get("shell") == "cmd" else "sh",
    )


CHANNELS: Final[dict[str, _Channel]] = {
    "qga": _Channel(_open_qga),
    "serial": _Channel(_open_serial),
    "ssh": _Channel(
        _open_ssh,
        required=("user", "host_key"),
        optional=("key_file", "shell"),
        files=("key_file",),
        choices={"shell": ("sh", "cmd")},
        over_tcp=True,
    ),
}
"""Every guest channel by the name that a machine file has for it."""


class MachineGuest:
    """The guest of a machine, from one :meth:`reach` to the next :meth:`close`.

    :param machine: its name.
    :param access: what its file says of the guest.
    """

    def __init__(self, machine: str, access: GuestAccess) -> None:
        self._machine = machine
        self._access = access
        self._guest: HelperGuest | None = None

    @property
    def is_reached(self) -> bool:
        """Between the two."""
        return self._guest is not None

    @property
    def guest(self) -> HelperGuest:
        """What runs commands in it; its channel is the way there.

        :raises TargetLost: it is not open.
        """
        if self._guest is None:
            raise TargetLost(f"the machine {self._machine} is not started")
        return self._guest

    def reach(self, channel: GuestChannel | None = None) -> None:
        """Reach it, where there is no ``channel`` over the one that its file names."""
        if channel is None:
            assert self._access.address is not None
            channel = self._access.open_channel(self._access.address)
        self._guest = HelperGuest(channel, folder=self._access.folder, helper=self._access.helper)

    def await_up(self, timeout: float) -> None:
        """See :meth:`harness.guests.channels.base.GuestChannel.await_up`."""
        self.guest.channel.await_up(timeout)

    def close(self) -> None:
        """Free the channel. Idempotent."""
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.channel.close()


@dataclass(frozen=True)
class GuestAccess:
    """What the section ``guest`` of a machine file says."""

    channel: str
    """A name of :data:`CHANNELS`."""
    folder: str
    """Work folder in the guest."""
    helper: str | None
    """Path of a guest helper that is in the guest; None: it is put there."""
    address: Address | None
    """Where the channel meets the guest; None where the machine makes that place itself."""
    options: Mapping[str, str]
    """The channel's own keys."""

    def open_channel(self, address: Address) -> GuestChannel:
        """The channel, not connected yet."""
        return CHANNELS[self.channel].open(self.options, address)


def read_guest(
    source: Source, node: Node, *, channels: Iterable[str] = CHANNELS, own_places: Container[str] = ()
) -> GuestAccess:
    """The section ``guest``.

    :param channels: those that this type of machine has.
    :param own_places: channels whose place the machine makes itself; of others the key ``address`` names it.
    """
    names = [name for name in CHANNELS if name in channels]
    keys = {key for name in names for key in (*CHANNELS[name].required, *CHANNELS[name].optional)}
    own = [name for name in names if name in own_places]
    place = ("address",) if len(own) < len(names) else ()
    entries = source.mapping(
        node,
        "guest",
        required=("channel", *(() if own else place)),
        optional=(*(place if own else ()), "folder", "helper", *sorted(keys)),
    )
    channel = source.text(entries["channel"], "channel")
    if channel not in names:
        source.fail(entries["channel"], f"no guest channel '{channel}'", hint=source.suggest(channel, names))
    form = CHANNELS[channel]
    options = {}
    for key in (*form.required, *form.optional):
        if key in entries:
            text = source.text(entries[key], key)
            if text not in form.choices.get(key, (text,)):
                hint = source.suggest(text, form.choices[key])
                source.fail(entries[key], f"{key} cannot be '{text}'", hint=hint)
            options[key] = str(source.path.parent / Path(text).expanduser()) if key in form.files else text
        elif key in form.required:
            source.fail(node, f"guest lacks '{key}', which the channel {channel} needs")
    for key in keys.intersection(entries) - options.keys():
        source.fail(entries[key], f"the channel {channel} has no key '{key}'")
    address = entries.get("address")
    if channel in own and address is not None:
        source.fail(address, f"where the channel {channel} is, the machine knows itself")
    if channel not in own and address is None:
        source.fail(node, f"guest lacks 'address', which the channel {channel} needs")
    return GuestAccess(
        channel=channel,
        folder=source.entry(entries, "folder", lambda node: source.text(node, "folder"), DEFAULT_FOLDER),
        helper=source.entry(entries, "helper", lambda node: source.text(node, "helper"), None),
        address=None if address is None else _address(source, address, over_tcp=form.over_tcp),
        options=options,
    )


def _address(source: Source, node: Node, *, over_tcp: bool) -> Address:
    """``127.0.0.1:4444``, ``[::1]:4444``; anything with a slash is the path of a Unix socket."""
    text = source.text(node, "address")
    if "/" in text and not over_tcp:
        return str(source.path.parent / Path(text).expanduser())
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 0x10000):
        other = "" if over_tcp else ", or the path of a Unix socket with a / in it"
        source.fail(node, f"'{text}' is no address", hint=f"write HOST:PORT{other}")
    return host.removeprefix("[").removesuffix("]"), int(port)
