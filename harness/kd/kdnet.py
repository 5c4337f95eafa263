"""KDNET: keys, and datagrams sealed with AES-256-CBC and HMAC-SHA256.

::

    0      4  "MDBG"
    4      1  protocol version
    5      1  channel: 0 data, 1 control
    6      8  encrypted, big-endian: sequence number << 8 | direction << 7 | pad length
    14     n  encrypted body
    14+n   p  encrypted zeros, p = -(8+n) mod 16
    14+n+p 16 first 16 bytes of HMAC-SHA256 over the six clear bytes and the plaintext; also the AES IV

A datagram is sealed *after* its MAC is known, so that two datagrams with the same sequence number and body
are the same bytes: what will be sent can be made before there is a reason to send it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from harness.errors import UsageError
from harness.kd.errors import ProtocolError

__all__ = [
    "MAGIC",
    "MAX_DATAGRAM",
    "PROTOCOL_VERSION",
    "Channel",
    "Datagram",
    "Direction",
    "Drop",
    "DroppedDatagram",
    "Key",
    "Sealer",
    "data_key",
]

MAGIC: Final = b"MDBG"
PROTOCOL_VERSION: Final = 4
"""Windows 10; what Microsoft's debuggers of 2016 and later accept."""
MAX_SEQUENCE: Final = (1 << 56) - 1
MAX_DATAGRAM: Final = 2048
"""Longer datagrams are dropped unread: the largest possible one has 1470 bytes."""
MIN_DATAGRAM: Final = 6 + 16 + 16
DATAGRAM_SIZES: Final = range(MIN_DATAGRAM, MAX_DATAGRAM + 1, 16)
"""A datagram is a whole number of AES blocks behind six clear bytes."""

_TAG: Final = 16
_HEADER: Final = 8
_BLOCK: Final = 16
_HASH_BLOCK: Final = 64
_ZEROS: Final = bytes(_BLOCK)
_QUADWORD: Final = struct.Struct(">Q")


class Channel(IntEnum):
    """Byte 5 of a datagram."""

    DATA = 0
    CONTROL = 1


class Direction(IntEnum):
    """Bit 7 of the encrypted header."""

    TO_HOST = 0
    TO_TARGET = 1


class Drop(Enum):
    """Why a datagram (or a packet in it) was thrown away."""

    SHORT = "shorter than an empty datagram"
    LONG = "longer than any datagram"
    BAD_MAGIC = "does not begin with MDBG"
    BAD_VERSION = "unsupported protocol version"
    BAD_CHANNEL = "unknown channel"
    BAD_LENGTH = "ciphertext is not a whole number of AES blocks"
    BAD_MAC = "authentication failed: the sender has another key"
    BAD_PADDING = "padding is not what the header says"
    WRONG_DIRECTION = "direction bit says that it is our own"
    STALE_SEQUENCE = "sequence number is not greater than the last one"
    NO_SESSION = "data before a handshake"
    BAD_BODY = "body is neither a packet, a hello nor a break-in"
    STRANGE_POKE = "authentic, but no poke of a known shape"
    NOT_EXPECTED = "not legal in this state"
    REPEATED = "a packet that was accepted before, acknowledged once more"
    SECOND_TARGET = "another target's, while the session's own was heard just now"


class DroppedDatagram(ProtocolError):
    """A datagram that must be ignored; :attr:`reason` says why."""

    def __init__(self, reason: Drop, detail: str = "") -> None:
        super().__init__(f"{reason.value}{': ' if detail else ''}{detail}")
        self.reason = reason


class Key(NamedTuple):
    """A KDNET key: 256 bits, written as four base-36 numbers (``w.x.y.z``)."""

    secret: bytes
    """32 bytes: the four numbers, each 64 bits little-endian."""

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read ``w.x.y.z``; upper case counts as lower case.

        Raises :class:`UsageError` for anything but four numbers of 1 to 13 characters ``0-9a-z`` below 2^64.
        """
        parts = text.strip().lower().split(".")
        hint = "a key has four parts of 1 to 13 characters 0-9a-z; `procnotify keygen` makes one"
        if len(parts) != 4:
            raise UsageError(f"a KDNET key has four parts, this one has {len(parts)}", hint=hint)
        secret = b""
        for number, part in enumerate(parts, 1):
            if not re.fullmatch("[0-9a-z]{1,13}", part):
                raise UsageError(
                    f"part {number} of the KDNET key is not 1 to 13 characters 0-9a-z", hint=hint
                )
            value = int(part, 36)
            if value >= 1 << 64:
                raise UsageError(f"part {number} of the KDNET key is 2^64 or more", hint=hint)
            secret += value.to_bytes(8, "little")
        return cls(secret)

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes]) -> Key:
        """A new key from ``random_bytes`` (for example ``secrets.token_bytes``)."""
        return cls(random_bytes(32))

    def format(self) -> str:
        """``w.x.y.z``, as bcdedit and WinDbg take it."""
        return ".".join(_base36(int.from_bytes(self.secret[at : at + 8], "little")) for at in range(0, 32, 8))

    @property
    def hmac_key(self) -> bytes:
        """The complement of every bit: authenticates both channels for the life of the key."""
        return bytes(byte ^ 0xFF for byte in self.secret)

    def __repr__(self) -> str:
        """Without the secret, so that no log shows it."""
        return f"Key(sha256:{hashlib.sha256(self.secret).hexdigest()[:8]})"


def _base36(value: int) -> str:
    digits = ""
    while True:
        value, digit = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not value:
            return digits


def data_key(key: Key, response_body: bytes) -> bytes:
    """The AES key of the data channel: SHA-256 of the key and the whole 322-byte response."""
    return hashlib.sha256(key.secret + response_body).digest()


class Datagram(NamedTuple):
    """An opened datagram."""

    version: int
    channel: Channel
    direction: Direction
    sequence: int
    """56 bits, a space of its own per channel and direction."""
    body: bytes


_CHANNELS: Final = (Channel.DATA, Channel.CONTROL)
_DIRECTIONS: Final = (Direction.TO_HOST, Direction.TO_TARGET)


def peek(data: bytes) -> tuple[int, Channel]:
    """Version and channel from the clear bytes; raises :class:`DroppedDatagram` for what cannot be a
    datagram."""
    size = len(data)
    if size < MIN_DATAGRAM:
        raise DroppedDatagram(Drop.SHORT, f"{size} bytes")
    if size > MAX_DATAGRAM:
        raise DroppedDatagram(Drop.LONG, f"{size} bytes")
    if data[:4] != MAGIC:
        raise DroppedDatagram(Drop.BAD_MAGIC, data[:4].hex())
    if data[5] > 1:
        raise DroppedDatagram(Drop.BAD_CHANNEL, str(data[5]))
    if (size - 6) % 16:
        raise DroppedDatagram(Drop.BAD_LENGTH, f"{size} bytes")
    return data[4], _CHANNELS[data[5]]


class Sealer:
    """One channel's keys: makes and opens its datagrams. To be used by one thread.

    The target stands still while this works, and making cipher and HMAC objects takes longer than using them.
    So they are made once. A cipher object that lives on chains from the datagram before. Decryption therefore
    takes the datagram's IV as one more block of ciphertext, whose plaintext is thrown away; encryption XORs
    the chain's last block out of the first plaintext block and the IV in. The HMAC is RFC 2104 with the two
    hash states after the key blocks copied for every datagram.
    """

    def __init__(self, channel: Channel, aes_key: bytes, hmac_key: bytes) -> None:
        self._channel = channel
        aes = algorithms.AES256(aes_key)
        self._decrypt = Cipher(aes, modes.CBC(bytes(_BLOCK))).decryptor().update
        self._encrypt = Cipher(aes, modes.CBC(bytes(_BLOCK))).encryptor().update
        self._chain = 0
        block = hmac_key.ljust(_HASH_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def _tag(self, clear_and_plaintext: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(clear_and_plaintext)
        outer.update(inner.digest())
        return outer.digest()[:_TAG]

    def seal(self, version: int, direction: Direction, sequence: int, body: bytes) -> bytes:
        """The datagram's bytes."""
        if not 0 <= sequence <= MAX_SEQUENCE:
            raise ProtocolError(f"KDNET sequence number {sequence} does not fit 56 bits")
        pad = -(_HEADER + len(body)) % _BLOCK
        plaintext = (sequence << 8 | direction << 7 | pad).to_bytes(_HEADER, "big") + body + bytes(pad)
        clear = MAGIC + bytes((version, self._channel))
        tag = self._tag(clear + plaintext)
        first = int.from_bytes(plaintext[:_BLOCK], "big") ^ int.from_bytes(tag, "big") ^ self._chain
        ciphertext = self._encrypt(first.to_bytes(_BLOCK, "big") + plaintext[_BLOCK:])
        self._chain = int.from_bytes(ciphertext[-_BLOCK:], "big")
        return clear + ciphertext + tag

    def open(self, data: bytes) -> Datagram:
        """Decrypt and authenticate a datagram that :func:`peek` let pass; raises as :meth:`open_plain`."""
        header, body = self.open_plain(data)
        return Datagram(data[4], self._channel, _DIRECTIONS[header >> 7 & 1], header >> 8, body)

    def open_plain(self, data: bytes) -> tuple[int, bytes]:
        """The header quadword and the body of a datagram whose size is one that :func:`peek` lets pass.

        Raises :class:`DroppedDatagram` with ``BAD_MAC``, ``BAD_PADDING``.
        """
        tag = data[-_TAG:]
        plaintext = self._decrypt(tag + data[6:-_TAG])[_BLOCK:]
        if not hmac.compare_digest(self._tag(data[:6] + plaintext), tag):
            raise DroppedDatagram(Drop.BAD_MAC)
        (header,) = _QUADWORD.unpack_from(plaintext)
        pad = header & 0x0F
        end = len(plaintext) - pad
        if end < _HEADER or header & 0x70 or plaintext[end:] != _ZEROS[:pad]:
            raise DroppedDatagram(Drop.BAD_PADDING, f"header 0x{header:016x}")
        return header, plaintext[_HEADER:end]
