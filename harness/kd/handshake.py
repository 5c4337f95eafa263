"""The two bodies of KDNET's control channel: the target's poke and the host's response."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar

from harness.kd.errors import ProtocolError
from harness.kd.layout import Record, raw, u8

__all__ = ["Endpoint", "Poke", "Response", "decode_control", "next_nonce"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port as control bodies carry them: IPv6 or v4-mapped, then the port, big-endian."""

    address: IPv4Address | IPv6Address
    port: int

    SIZE: ClassVar[int] = 18

    @classmethod
    def decode(cls, data: bytes) -> Endpoint:
        """Read 18 bytes."""
        if len(data) != cls.SIZE:
            raise ProtocolError(f"an endpoint has {cls.SIZE} bytes, not {len(data)}")
        address = IPv6Address(data[:16])
        return cls(address.ipv4_mapped or address, int.from_bytes(data[16:], "big"))

    def encode(self) -> bytes:
        """The 18 bytes."""
        packed = self.address.packed
        if len(packed) == 4:
            packed = bytes(10) + b"\xff\xff" + packed
        return packed + self.port.to_bytes(2, "big")

    @property
    def is_set(self) -> bool:
        """An address other than zero is in it."""
        return int(self.address) != 0


_NOBODY = Endpoint(IPv4Address(0), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poke(Record):
    """Target to host, every three seconds: "I am here". Exactly 344 bytes."""

    SIZE: ClassVar[int] = 344

    group: int = u8(0, 1)
    kind: int = u8(1, 1)
    client_key: bytes = raw(2, 32)
    """The nonce; the target adds one to its first 64 bits in every poke."""
    target: bytes = raw(34, 18)
    host: bytes = raw(52, 18)
    """The host as configured at the target."""
    session: bytes = raw(70, 18)
    """The host of the accepted session; address 0.0.0.0 before acceptance."""

    @classmethod
    def of(
        cls, *, client_key: bytes, target: Endpoint, host: Endpoint, session: Endpoint | None = None
    ) -> Poke:
        """The poke of a target at ``target`` that was told to find its debugger at ``host``."""
        accepted = session or _NOBODY
        return cls(
            client_key=client_key, target=target.encode(), host=host.encode(), session=accepted.encode()
        )

    @property
    def series(self) -> bytes:
        """What all pokes of one boot share: the nonce without its counter."""
        return self.client_key[8:]

    @property
    def count(self) -> int:
        """The nonce's counter, one more in each poke."""
        return int.from_bytes(self.client_key[:8], "little")

    @property
    def in_session(self) -> bool:
        """The target believes in an accepted session."""
        return Endpoint.decode(self.session).is_set

    def check(self) -> None:
        if self.data:
            raise ProtocolError(f"poke of {self.SIZE + len(self.data)} bytes, expected {self.SIZE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Record):
    """Host to target: the answer to a poke, under the poke's sequence number. Exactly 322 bytes."""

    SIZE: ClassVar[int] = 322

    group: int = u8(0, 1)
    kind: int = u8(1, 2)
    client_key: bytes = raw(2, 32)
    """Copied from the poke."""
    host_key: bytes = raw(34, 32)
    """Random, new for each response."""

    def check(self) -> None:
        if self.data:
            raise ProtocolError(f"response of {self.SIZE + len(self.data)} bytes, expected {self.SIZE}")


def decode_control(body: bytes) -> Poke | Response:
    """Parse the body of a control datagram; raises :class:`ProtocolError`."""
    if body[:2] == b"\x01\x01":
        return Poke.decode(body)
    if body[:2] == b"\x01\x02":
        return Response.decode(body)
    raise ProtocolError(f"control body begins with {body[:2].hex() or 'nothing'}, expected 0101 or 0102")


def next_nonce(client_key: bytes) -> bytes:
    """The client key of the next poke: its first 64 bits, little-endian, plus one."""
    first = (int.from_bytes(client_key[:8], "little") + 1) & 0xFFFFFFFFFFFFFFFF
    return first.to_bytes(8, "little") + client_key[8:]
