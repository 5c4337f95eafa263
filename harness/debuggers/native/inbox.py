"""What a target has said and nobody has read yet, bounded in bytes."""

from __future__ import annotations

from collections import deque
from sys import getsizeof
from typing import Final, NamedTuple, TypeAlias

from harness.debuggers.base import (
    CallbackSeen,
    Disconnected,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    RoutineRegistered,
    TargetRebooted,
)
from harness.kd.session_events import SecondTarget
from harness.kd.statechange import StateChange

__all__ = ["MAX_UNREAD_BYTES", "STOP_BYTES", "Halt", "Inbox", "InboxItem", "Message"]

MAX_UNREAD_BYTES: Final = 64 << 20
"""So much may wait to be read; then nothing more is taken from the link, and the target stands still."""
STOP_BYTES: Final = 16 << 20
"""So much more while the debugger waits for the target to stop: nobody reads then, and what the target prints
before it stops has to go somewhere."""
_ITEM_BYTES: Final = 400
"""What a message takes besides its text, rounded up."""


class Halt(NamedTuple):
    """The target stopped and nobody has looked at it yet."""

    change: StateChange


InboxItem: TypeAlias = (
    PrintReceived
    | ModuleLoaded
    | ModuleUnloaded
    | TargetRebooted
    | Disconnected
    | Halt
    | CallbackSeen
    | RoutineRegistered
)
Message: TypeAlias = InboxItem | SecondTarget


def _size(item: Message) -> int:
    match item:
        case PrintReceived(data=data):
            return getsizeof(data) + _ITEM_BYTES
        case ModuleUnloaded(name=text) | Disconnected(reason=text):
            return getsizeof(text) + _ITEM_BYTES
        case ModuleLoaded(module=module):
            return getsizeof(module.name) + _ITEM_BYTES
        case Halt(change):
            return len(change.data) + 2 * _ITEM_BYTES
        case CallbackSeen(fields=fields):
            return sum(map(getsizeof, fields.values())) + 2 * _ITEM_BYTES
        case TargetRebooted() | SecondTarget() | RoutineRegistered():
            return _ITEM_BYTES


class Inbox:
    """Messages in the order in which they came. Not locked: its owner does that."""

    def __init__(self) -> None:
        self._items: deque[Message] = deque()
        self._bytes = 0
        self.stop_expected = False
        """The debugger waits for the target to stop."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Nothing more should be put in until somebody has read."""
        return self._bytes >= MAX_UNREAD_BYTES + (STOP_BYTES if self.stop_expected else 0)

    def put(self, item: Message) -> None:
        """Append a message, also to a full inbox: what has been acknowledged must not be lost."""
        self._items.append(item)
        self._bytes += _size(item)

    def take(self) -> Message:
        """The oldest message; IndexError where there is none."""
        item = self._items.popleft()
        self._bytes -= _size(item)
        return item

    def discard_halts(self) -> None:
        """Take every stop out: somebody knows of it, or it is over."""
        kept = [item for item in self._items if not isinstance(item, Halt)]
        if len(kept) != len(self._items):
            self._items = deque(kept)
            self._bytes = sum(map(_size, kept))

    def unread(self) -> list[Message]:
        """Every message, left where it is."""
        return list(self._items)
