"""What the parsers of this package raise: the peer's bytes break the protocol."""

from __future__ import annotations

from harness.errors import RigError

__all__ = ["ProtocolError"]


class ProtocolError(RigError):
    """Bytes that are not what KD, KDNET or KDCOM says they must be.

    Every parser of :mod:`harness.kd` either returns a record or raises this, and nothing else.
    """
