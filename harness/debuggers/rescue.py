"""A target whose debugger is gone: the native debugger takes it over, lets it go and proves that it runs.

A debugger that was killed may leave its target halted, or waiting for an acknowledgement. The target goes on
calling for a debugger, so another one can answer.
"""

from __future__ import annotations

from typing import Final

from harness.debuggers.base import Release
from harness.debuggers.connection import Connection
from harness.debuggers.native import NativeDebugger
from harness.errors import ConnectionFailed, ProcnotifyError, RigError

__all__ = ["explain_silence", "rescue"]

RESCUE_SECONDS: Final = 15.0
"""For a target to call again (every three seconds) and to give up on what it was sending to the dead one."""
LOOK_SECONDS: Final = 5.0


def rescue(connection: Connection, why: str) -> Release:
    """How the target was left after the native debugger has let it go.

    :param why: what happened to its debugger, the beginning of the proof.
    """
    native = NativeDebugger(connection)
    try:
        native.listen()
        native.attach(timeout=RESCUE_SECONDS)
        found = native.detach(timeout=RESCUE_SECONDS)
    except ProcnotifyError as error:
        native.detach(timeout=0.0)
        return Release(
            None, f"{why}, and the native debugger could not take the target over: {error.message}"
        )
    return Release(found.running, f"{why}, and the native debugger took the target over: {found.proof}")


def explain_silence(connection: Connection, debugger: str, waited: float) -> RigError:
    """Why ``debugger`` did not attach within ``waited`` seconds, found out with the native debugger: nobody
    dials, or with another key, or the fault is the debugger's own."""
    native = NativeDebugger(connection)
    try:
        native.listen()
        native.attach(timeout=LOOK_SECONDS)
    except ConnectionFailed as error:
        native.detach(timeout=0.0)
        return ConnectionFailed(
            f"{debugger} did not attach within {waited:g} s: {error.message}", hint=error.hint
        )
    except RigError as error:
        native.detach(timeout=0.0)
        return error
    left = native.detach(timeout=LOOK_SECONDS)
    return ConnectionFailed(
        f"{debugger} did not attach within {waited:g} s, although the native debugger does; "
        f"the target runs again ({left.proof})"
        if left.running
        else f"{debugger} did not attach within {waited:g} s: {left.proof}"
    )
