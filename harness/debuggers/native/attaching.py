"""How the native debugger comes to a halted target: the handshake, then break-ins until it stops."""

from __future__ import annotations

from time import monotonic
from typing import Final

from harness.connection import NetConnection
from harness.debuggers.native.conversation import Conversation
from harness.errors import ConnectionFailed, TargetLost
from harness.kd.kdnet import Drop
from harness.kd.statechange import StateChange

__all__ = ["await_session", "break_in_until_halted"]

BREAK_IN_AGAIN: Final = 0.485
"""Seconds between break-ins, as Microsoft's host."""
WRONG_KEY_AFTER: Final = 1.0
"""Seconds after a poke that fails authentication; another target, with the right key, may still dial."""
_LOOK: Final = 0.25


def await_session(talk: Conversation, connection: NetConnection, deadline: float) -> None:
    """Until a target has dialled. Raises :class:`ConnectionFailed` with what was seen instead."""
    started = monotonic()
    link = talk.link
    assert link is not None
    if connection.target is not None:
        address = (connection.target, connection.port)
        link.post(lambda now: link.session.call_target(address))
    wrong_key_at: float | None = None
    while not talk.wait(lambda: talk.sessions > 0, min(_LOOK, max(deadline - monotonic(), 0.0))):
        now = monotonic()
        if wrong_key_at is None and talk.drops(Drop.BAD_MAC, control=True):
            wrong_key_at = now
        if wrong_key_at is not None and now - wrong_key_at >= WRONG_KEY_AFTER:
            raise ConnectionFailed(
                f"the KDNET key is wrong: a target dials UDP port {connection.port} with another key",
                hint="give the key that `bcdedit /dbgsettings` shows at the target",
            )
        if talk.drops(Drop.BAD_VERSION, control=True):
            raise ConnectionFailed(
                f"the target on UDP port {connection.port} speaks a KDNET version older than Windows 8.1"
            )
        if now >= deadline:
            raise ConnectionFailed(
                f"no target dialled UDP port {connection.port} within {now - started:.0f} s",
                hint="is it on, with `bcdedit /debug on`, hostip this machine, this port, "
                "and does the firewall let UDP in?",
            )


def break_in_until_halted(talk: Conversation, deadline: float, timeout: float) -> StateChange:
    """Ask for a break until the target stands still; the stop, taken out of the inbox.

    Raises :class:`TargetLost` (:class:`ConnectionFailed` when nothing was ever heard).
    """
    while talk.halt is None:
        left = deadline - monotonic()
        if left <= 0:
            if talk.sessions or talk.heard:
                raise TargetLost(f"the target did not break in within {timeout:g} s")
            raise ConnectionFailed(
                f"no kernel debugger answers on the serial line within {timeout:g} s",
                hint="is the target on, with `bcdedit /debug on` and `/dbgsettings serial`?",
            )
        talk.break_in()
        talk.wait(lambda: talk.halt is not None, min(BREAK_IN_AGAIN, left))
    change = talk.take_halt()
    assert change is not None
    return change
