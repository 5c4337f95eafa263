"""The debugger's link, used from another process: what the stub asks of it is asked through a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from harness.kd.packets import PacketType
from harness.kd.session_events import PacketReceived
from harness.timetravel.channels import Connection
from harness.virtual.stub.link import TargetLink

__all__ = ["LinkGone", "RemoteLink", "RemoteLinkState", "answer_for_link"]

_POLL_EVERY: Final = 0.002
"""Seconds between two looks at the link while the target runs, as of a link of this process."""
_ASKED: Final = frozenset(
    {"poll", "wait", "deliver", "send", "post", "outcome", "next_packet", "flush_packets"}
)
"""Methods of :class:`~harness.virtual.stub.link.TargetLink`."""


class LinkGone(BaseException):
    """Nobody has the link for this process any more: unwinds whatever the target was doing."""


class RemoteLinkState(NamedTuple):
    """What comes with every answer."""

    present: bool = False
    break_in_wanted: bool = False
    reconnects: int = 0
    knows_newcomers: bool = False
    leaving: bool = False
    """When the debugger lets the target go, it is to idle where it stands."""
    travels: bool = False
    """When the debugger lets the target go, it is to stand elsewhere."""


class RemoteLink:
    """A :class:`~harness.virtual.stub.link.DebuggerLink`. Every call may raise :class:`LinkGone`.

    :param home: the channel to the process that has the link.
    :param now: a monotonic clock in seconds.
    """

    def __init__(self, home: Connection, now: Callable[[], float]) -> None:
        self._home = home
        self._now = now
        self._next_poll = 0.0
        self.state = RemoteLinkState()

    @property
    def present(self) -> bool:
        """See :class:`~harness.virtual.stub.link.TargetLink`."""
        return self.state.present

    @property
    def reconnects(self) -> int:
        """See :class:`~harness.virtual.stub.link.TargetLink`."""
        return self.state.reconnects

    @property
    def knows_newcomers(self) -> bool:
        """See :class:`~harness.virtual.stub.link.TargetLink`."""
        return self.state.knows_newcomers

    @property
    def break_in_wanted(self) -> bool:
        """See :class:`~harness.virtual.stub.link.TargetLink`."""
        return self.state.break_in_wanted

    @break_in_wanted.setter
    def break_in_wanted(self, wanted: bool) -> None:
        if self.state.break_in_wanted != wanted:
            self._ask("break_in_wanted", wanted)

    def poll(self) -> None:
        """See :meth:`harness.virtual.stub.link.TargetLink.poll`."""
        now = self._now()
        if now >= self._next_poll:
            self._next_poll = now + _POLL_EVERY
            self._ask("poll")

    def wait(self, timeout: float, *, silent: bool = False) -> None:
        """See :meth:`harness.virtual.stub.link.TargetLink.wait`."""
        self._ask("wait", timeout, silent=silent)

    def deliver(self, packet_type: PacketType, payload: bytes) -> bool:
        """See :meth:`harness.virtual.stub.link.TargetLink.deliver`."""
        return bool(self._ask("deliver", packet_type, payload))

    def send(self, packet_type: PacketType, payload: bytes) -> None:
        """See :meth:`harness.virtual.stub.link.TargetLink.send`."""
        self._ask("send", packet_type, payload)

    def post(self, packet_type: PacketType, payload: bytes) -> int:
        """See :meth:`harness.virtual.stub.link.TargetLink.post`."""
        return int(self._ask("post", packet_type, payload))

    def outcome(self, token: int) -> bool | None:
        """See :meth:`harness.virtual.stub.link.TargetLink.outcome`."""
        outcome: bool | None = self._ask("outcome", token)
        return outcome

    def next_packet(self, timeout: float) -> PacketReceived | None:
        """See :meth:`harness.virtual.stub.link.TargetLink.next_packet`."""
        packet: PacketReceived | None = self._ask("next_packet", timeout)
        return packet

    def flush_packets(self) -> None:
        """See :meth:`harness.virtual.stub.link.TargetLink.flush_packets`."""
        self._ask("flush_packets")

    def _ask(self, what: str, *arguments: object, **options: object) -> Any:
        try:
            self._home.send(("link", what, arguments, options))
            result, self.state = self._home.recv()
        except (EOFError, OSError):
            raise LinkGone from None
        return result


def answer_for_link(link: TargetLink, what: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What :class:`RemoteLink` asked, of the link itself."""
    if what == "break_in_wanted":
        (link.break_in_wanted,) = arguments
        return None
    if what not in _ASKED:
        raise ValueError(f"a link has no {what}")
    return getattr(link, what)(*arguments, **options)
