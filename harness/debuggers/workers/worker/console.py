"""Typing into DbgEng: the one thing wanted here that pykd does not offer.

Source: Microsoft, dbgeng.h (IDebugControl, in the order of its methods) and "IDebugControl::ReturnInput".
"""

from __future__ import annotations

import ctypes
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from engine import Refused

IDEBUGCONTROL = uuid.UUID("5182e668-105e-416e-ad92-24ef800424ba")
RETURN_INPUT = 13
"""Its place in IDebugControl's table of methods."""
S_FALSE = 1
"""The engine has the input that it asked for, and did not take this."""
ANSWERS = 200
BETWEEN_ANSWERS = 0.01
"""Seconds."""


class Console:
    """A client of the engine that pykd has loaded into this process."""

    def __init__(self) -> None:
        if sys.platform != "win32":
            raise Refused("DbgEng needs Windows, or Wine")
        self._control = ctypes.c_void_p()
        interface = ctypes.create_string_buffer(IDEBUGCONTROL.bytes_le, 16)
        create = ctypes.WinDLL("dbgeng.dll").DebugCreate
        if create(interface, ctypes.byref(self._control)) != 0:
            raise Refused("DbgEng makes no second client")
        methods = ctypes.cast(self._control, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
        prototype = ctypes.WINFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_char_p)
        self._return_input: Any = prototype(methods[RETURN_INPUT])

    def return_input(self, text: str) -> None:
        """Answer a prompt; from any thread."""
        give_answer(lambda answer: int(self._return_input(self._control, answer)), text)


def give_answer(give: Callable[[bytes], int], text: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Give an answer until it is taken.

    The engine takes none while it has one already, which may be that to the prompt before; and without one to
    this prompt the target waits for ever.

    :param give: gives it once; an HRESULT.
    :raises Refused: the engine fails.
    """
    for _ in range(ANSWERS):
        result = give(text.encode("ascii", "replace"))
        if result < 0:
            raise Refused(
                "DbgEng does not take the answer to a prompt (HRESULT 0x%08x)" % (result & 0xFFFFFFFF)
            )
        if result != S_FALSE:
            return
        pause(BETWEEN_ANSWERS)
