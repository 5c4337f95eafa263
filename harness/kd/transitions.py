"""The session's states, and which input is legal in which: one table, nothing else decides it.

``TRANSITIONS[role][phase][input]`` is the phase that follows; an input without a row is dropped with the
reason ``NOT_EXPECTED``. Over KDNET a session begins in ``LISTENING`` (host) or ``POKING`` (target), over
KDCOM in ``SILENT``.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["TRANSITIONS", "Input", "Phase", "Role"]


class Role(Enum):
    """Which end of the link this is."""

    HOST = "host"
    TARGET = "target"


class Phase(Enum):
    """How far the link has come."""

    LISTENING = "listening"
    """Host: no target has been heard yet."""
    OFFERED = "offered"
    """Host: a poke was answered; nothing has come under the new key yet."""
    RESYNCING = "resyncing"
    """Host: the target is there, but its packet ids began before this session: RESET settles them."""
    POKING = "poking"
    """Target: no debugger has answered yet."""
    SILENT = "silent"
    """KDCOM: no packet of the peer has been heard. A serial line has no handshake, so packets are sent all
    the same."""
    CONNECTED = "connected"
    """Packets flow."""


class Input(Enum):
    """What can arrive."""

    POKE = "poke"
    SESSION = "first data under a new key"
    RESPONSE = "response to the latest poke"
    HELLO = "hello"
    BREAK_IN = "break-in"
    FIRST_DATA = "data packet at the beginning of an id stream"
    DATA = "data packet"
    ACK = "ACKNOWLEDGE"
    RESEND = "RESEND"
    RESET = "RESET"

    # Enum's own hash is computed in Python each time, and the target waits for a look-up in the table below.
    __hash__ = object.__hash__


TRANSITIONS: Final[dict[Role, dict[Phase, dict[Input, Phase]]]] = {
    Role.HOST: {
        Phase.LISTENING: {Input.POKE: Phase.OFFERED},
        Phase.OFFERED: {Input.POKE: Phase.OFFERED, Input.SESSION: Phase.RESYNCING},
        Phase.SILENT: {
            Input.FIRST_DATA: Phase.CONNECTED,
            Input.DATA: Phase.RESYNCING,
            Input.ACK: Phase.RESYNCING,
            Input.RESEND: Phase.RESYNCING,
            Input.RESET: Phase.CONNECTED,
        },
        Phase.RESYNCING: {
            Input.POKE: Phase.RESYNCING,
            Input.SESSION: Phase.RESYNCING,
            Input.HELLO: Phase.RESYNCING,
            Input.FIRST_DATA: Phase.CONNECTED,
            Input.DATA: Phase.RESYNCING,
            Input.ACK: Phase.RESYNCING,
            Input.RESEND: Phase.RESYNCING,
            Input.RESET: Phase.CONNECTED,
        },
        Phase.CONNECTED: {
            Input.POKE: Phase.CONNECTED,
            Input.SESSION: Phase.RESYNCING,
            Input.HELLO: Phase.CONNECTED,
            Input.FIRST_DATA: Phase.CONNECTED,
            Input.DATA: Phase.CONNECTED,
            Input.ACK: Phase.CONNECTED,
            Input.RESEND: Phase.CONNECTED,
            Input.RESET: Phase.CONNECTED,
        },
    },
    Role.TARGET: {
        Phase.POKING: {Input.RESPONSE: Phase.CONNECTED},
        Phase.SILENT: {
            Input.BREAK_IN: Phase.CONNECTED,
            Input.FIRST_DATA: Phase.CONNECTED,
            Input.DATA: Phase.CONNECTED,
            Input.ACK: Phase.CONNECTED,
            Input.RESEND: Phase.CONNECTED,
            Input.RESET: Phase.CONNECTED,
        },
        Phase.CONNECTED: {
            Input.RESPONSE: Phase.CONNECTED,
            Input.BREAK_IN: Phase.CONNECTED,
            Input.FIRST_DATA: Phase.CONNECTED,
            Input.DATA: Phase.CONNECTED,
            Input.ACK: Phase.CONNECTED,
            Input.RESEND: Phase.CONNECTED,
            Input.RESET: Phase.CONNECTED,
        },
    },
}
