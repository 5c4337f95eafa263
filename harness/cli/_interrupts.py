"""What asks a command to end: Ctrl-C, and all that means the same.

A target must not be left halted because a terminal was closed, so each of them is a KeyboardInterrupt, after
which a command lets its target go.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Final

__all__ = ["hear_all_interrupts"]

_POSIX: Final = ("SIGTERM", "SIGHUP")
"""What a service manager sends, and what a terminal that is closed does."""
_WINDOWS: Final = ("SIGBREAK",)
"""Ctrl-Break."""


def hear_all_interrupts() -> None:
    """Let whatever asks this process to end raise KeyboardInterrupt on the main thread.

    What it was started to ignore (``nohup``) is ignored.
    """
    for name in _WINDOWS if sys.platform == "win32" else _POSIX:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    if sys.platform == "win32":
        _hear_the_console_close()


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _CLOSE_EVENTS: Final = (2, 5, 6)
    """CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT."""

    def on_console_event(event: int) -> bool:
        """On a thread of Windows' own. It ends the process once this returns, or after some five seconds
        (Microsoft, "HandlerRoutine callback function"), so this does not return."""
        if event not in _CLOSE_EVENTS:
            return False  # Python's own handler makes a signal of it
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait()
        return True

    _handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(on_console_event)

    def _hear_the_console_close() -> None:
        ctypes.windll.kernel32.SetConsoleCtrlHandler(_handler, True)
