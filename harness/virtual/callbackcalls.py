"""What the kernel remembers of the callbacks that it called, for whoever asks when a run is over.

A call is told whatever the driver prints. Nothing here can be seen by a driver or a debugger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from harness.virtual.interfaces import KernelClock, ThreadContext

__all__ = ["MAX_REMEMBERED", "MAX_UNCALLED", "CallLog", "CallbackCall", "Entry", "HelperLine", "Told"]

MAX_REMEMBERED: Final = 250_000
"""Calls and lines of the guest helper that one boot remembers, some 300 bytes each; those beyond are
counted."""


MAX_UNCALLED: Final = 16
"""Sentences about callbacks that are not called."""
_LOOKED_AT: Final = 64
"""Calls that are under way at a time, at most about."""


class Told(NamedTuple):
    """The arguments of a notification, as a routine was told them."""

    pid: int
    tid: int | None = None
    parent_pid: int | None = None
    image: str | None = None
    """FullImageName, or ImageFileName of PS_CREATE_NOTIFY_INFO."""
    base: int | None = None
    size: int | None = None


class CallbackCall(msgspec.Struct, array_like=True, tag="call", gc=False):
    """One call of one routine."""

    kind: str
    """A key of :data:`harness.callbacks.CALLBACK_KINDS`."""
    driver: str
    """File name of the driver that the routine was registered for."""
    routine: int
    """Where the routine lies in the driver's image; its address where the driver is not loaded any more."""
    told: Told
    context: ThreadContext
    """When it was entered."""
    entered: int
    """Target time, 100 ns units since boot."""
    left: int | None = None
    """The same when it had returned; None: it has not."""
    answer: int | None = None
    """Of an Ex routine that was told of a process's creation: CreationStatus as it left it."""


class HelperLine(msgspec.Struct, array_like=True, tag="line", gc=False):
    """The guest helper printed."""

    text: str
    time: int
    """Target time, 100 ns units since boot."""
    processor: int


Entry: TypeAlias = CallbackCall | HelperLine


class CallLog:
    """The calls of one boot in the order in which they were entered, and the helper's lines among them.

    :param clock: the target's.
    """

    def __init__(self, clock: KernelClock) -> None:
        self._clock = clock
        self._entries: list[Entry] = []
        self.entered = 0
        """How many calls there were by now."""
        self.beyond = 0
        """How many more there were than :data:`MAX_REMEMBERED`."""
        self.hidden = 0
        """How many prints of drivers the print filter kept back."""
        self._uncalled: dict[str, None] = {}

    @property
    def remembered(self) -> int:
        """How many calls and lines it remembers by now."""
        return len(self._entries)

    def enter(self, kind: str, driver: str, routine: int, told: Told, context: ThreadContext) -> CallbackCall:
        """A routine is called; the call, for :meth:`leave`."""
        call = CallbackCall(kind, driver, routine, told, context, self._clock.now)
        self.entered += 1
        self._remember(call)
        return call

    def leave(self, call: CallbackCall, answer: int | None) -> None:
        """It has returned."""
        call.left = self._clock.now
        call.answer = answer

    def helper_prints(self, text: str, context: ThreadContext) -> None:
        """The guest helper printed, whether that passes the print filter or not."""
        self._remember(HelperLine(text, self._clock.now, context.cpu))

    def tell_uncalled(self, sentence: str) -> None:
        """A driver registered callbacks of a kind that is never called here."""
        if len(self._uncalled) < MAX_UNCALLED:
            self._uncalled[sentence] = None

    @property
    def uncalled(self) -> tuple[str, ...]:
        """What was told so, each once."""
        return tuple(self._uncalled)

    def entries(self, first: int = 0, count: int = MAX_REMEMBERED) -> Sequence[Entry]:
        """At most ``count`` of them from number ``first`` on, counted from 0."""
        return self._entries[first : first + count]

    def under_way(self) -> CallbackCall | None:
        """The call that was entered last and has not returned, among the latest :data:`_LOOKED_AT`."""
        latest = reversed(self._entries[-_LOOKED_AT:])
        return next((e for e in latest if isinstance(e, CallbackCall) and e.left is None), None)

    def _remember(self, entry: Entry) -> None:
        if len(self._entries) < MAX_REMEMBERED:
            self._entries.append(entry)
        else:
            self.beyond += 1
