"""A target whose connection was closed and is back: made to speak, and asked whether its boot is the same."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from harness.debuggers.base import Disconnected, TargetRebooted
from harness.debuggers.native.attaching import BREAK_IN_AGAIN
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.inbox import InboxItem

__all__ = ["Comeback"]


SILENT_SECONDS: Final = 1.0
"""How long a target that is back may say nothing. What it has to say it says twice in that time, unless it
has given its debugger up."""


class Comeback:
    """Reads the messages of a target that may come back."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._call_at: float | None = None
        self._kernel_base: int | None = None
        self._clock: int | None = None
        self.is_to_be_known = False
        """The connection was closed, and nothing has told since whether the target is in the same boot."""

    def remember(self, kernel_base: int, clock: int | None) -> None:
        """What the target said of its boot while it was halted.

        :param clock: its interrupt time; None where that cannot be read.
        """
        self._kernel_base, self._clock = kernel_base, clock
        self.is_to_be_known = False

    def is_another_boot(self, kernel_base: int, clock: int | None) -> bool:
        """Whether it said something else before: its kernel lies elsewhere, or its clock has gone back."""
        before = self._clock
        went_back = clock is not None and before is not None and clock < before
        another = kernel_base != self._kernel_base or went_back
        self.remember(kernel_base, clock)
        return another

    def see(self, item: Disconnected | TargetRebooted) -> None:
        """A message that was read, where it says something about the boot."""
        self.is_to_be_known = isinstance(item, Disconnected)
        if isinstance(item, TargetRebooted):
            self._clock = None

    def _call(self, now: float) -> None:
        if not self._talk.silent:
            self._call_at = None
        elif self._call_at is None:
            self._call_at = now + SILENT_SECONDS
        elif now >= self._call_at:
            self._call_at = now + BREAK_IN_AGAIN
            self._talk.break_in()

    def take(self, timeout: float) -> InboxItem | None:
        """The next message, None after ``timeout`` seconds.

        A target that is silent after its connection came back is broken into until it says something: it may
        have given its debugger up, and prints nothing then.
        """
        deadline = perf_counter() + timeout
        while True:
            now = perf_counter()
            self._call(now)
            left = max(deadline - now, 0.0)
            item = self._talk.take(min(left, BREAK_IN_AGAIN))
            if item is not None or left <= BREAK_IN_AGAIN:
                return item
