"""The kernel handles of the System process."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from harness.virtual.kernel.configuration import RegistryKey
from harness.virtual.kernel.filtermanager import Minifilter
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.volume import OpenFile

__all__ = ["CommunicationPort", "EventObject", "HandleTable", "Handled", "SymbolicLink"]


class EventObject(NamedTuple):
    """An event that has handles."""

    address: int
    """Of the KEVENT."""
    name: str
    """As :func:`~harness.virtual.kernel.objectnames.object_name` makes it; empty for one without."""


class SymbolicLink(NamedTuple):
    """A symbolic link that is opened."""

    target: str
    """The name that it stands for."""


class CommunicationPort(NamedTuple):
    """A port that a minifilter serves."""

    minifilter: Minifilter
    name: str
    """As :func:`~harness.virtual.kernel.objectnames.object_name` makes it; empty for one without."""


Handled: TypeAlias = (
    ProcessObject | ThreadObject | RegistryKey | OpenFile | EventObject | SymbolicLink | CommunicationPort
)
"""What a handle can stand for."""
_FIRST: Final = 0xFFFF_FFFF_8000_0000
"""What kernel handles begin with (OBJ_KERNEL_HANDLE)."""
_STEP: Final = 4


class HandleTable(dict[int, Handled]):
    """By the handle what it stands for. None is given out twice."""

    def __init__(self) -> None:
        super().__init__()
        self._last = _FIRST
        self.events = 0
        """How many events were made for handles."""

    def add(self, item: Handled) -> int:
        """A handle to it."""
        self._last += _STEP
        self[self._last] = item
        return self._last

    def event_named(self, name: str) -> EventObject | None:
        """The event of that name that has a handle; None for an empty name."""
        events = (item for item in self.values() if isinstance(item, EventObject) and item.name == name)
        return next(events, None) if name else None

    def port_named(self, name: str) -> CommunicationPort | None:
        """The communication port of that name."""
        ports = (item for item in self.values() if isinstance(item, CommunicationPort))
        return next((port for port in ports if port.name == name), None)

    def was_closed(self, handle: int) -> bool:
        """It was given out and is not there any more."""
        return _FIRST < handle <= self._last and handle % _STEP == 0 and handle not in self
