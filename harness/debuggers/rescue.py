"""A target whose debugger is gone: the native debugger takes it over, lets it go and proves that it runs.

A debugger that was killed may leave its target halted, or waiting for an acknowledgement. The target goes on
calling for a debugger, so another one can answer.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from harness.connection import Connection
from harness.debuggers.base import Release
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import ConnectionFailed, ProcnotifyError, RigError

__all__ = ["LOOK_SECONDS", "RESCUE_SECONDS", "explain_silence", "rescue"]

RESCUE_SECONDS: Final = 15.0
"""For a target to call again (every three seconds) and to give up on what it was sending to the dead one."""
LOOK_SECONDS: Final = 5.0
"""For a target of which nobody knows whether it is there."""
FREE_SECONDS: Final = 3.0
"""For the port of a process that was just killed to become free; under Wine that takes a moment."""


def rescue(connection: Connection, why: str, *, timeout: float) -> Release:
    """How the target was left after the native debugger has let it go.

    :param why: what happened to its debugger, the beginning of the proof.
    :param timeout: seconds for the target to call, and again for it to be released.
    """
    native = NativeDebugger(connection)
    try:
        _listen(native)
        native.attach(timeout=timeout)
        found = native.detach(timeout=timeout)
    except ProcnotifyError as error:
        native.detach(timeout=0.0)
        return Release(
            None, f"{why}, and the native debugger could not take the target over: {error.message}"
        )
    return replace(found, proof=f"{why}, and the native debugger took the target over: {found.proof}")


def explain_silence(connection: Connection, debugger: str, waited: float) -> tuple[RigError, Release]:
    """Why ``debugger`` did not attach within ``waited`` seconds, found out with the native debugger (nobody
    dials, or with another key, or the fault is the debugger's own), and how the target was left."""
    native = NativeDebugger(connection)
    what = f"{debugger} did not attach within {waited:g} s"
    try:
        _listen(native)
        native.attach(timeout=LOOK_SECONDS)
    except ConnectionFailed as error:
        found = native.detach(timeout=0.0)
        return ConnectionFailed(f"{what}: {error.message}", hint=error.hint), found
    except RigError as error:
        return error, native.detach(timeout=LOOK_SECONDS)
    silent = ConnectionFailed(
        f"{what}, although the native debugger does",
        hint="is it slow, or does its version not know the target?",
    )
    return silent, native.detach(timeout=LOOK_SECONDS)


def _listen(native: NativeDebugger) -> None:
    deadline = time.monotonic() + FREE_SECONDS
    while True:
        try:
            native.listen()
        except ConnectionFailed:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return
