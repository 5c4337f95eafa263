"""What the filter manager keeps of drivers: their minifilters, and the file name information that it has lent
them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.kernel.altitudes import Altitude
from harness.virtual.kernel.fileobjects import VOLUME_DEVICE

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["FilterCallbacks", "FilterManager", "Minifilter"]

_OBJECT_SIZE: Final = 0x200
"""What an object of the filter manager holds is nobody's to know."""


class FilterCallbacks(NamedTuple):
    """Routines of a minifilter that are called here; 0 for one that it does not have."""

    unload: int
    setup: int
    teardown_start: int
    teardown_complete: int


@dataclass(eq=False)
class Minifilter:
    """One registration."""

    address: int
    """PFLT_FILTER."""
    driver_object: int
    altitude: Altitude
    callbacks: FilterCallbacks
    attaches: bool
    """Its default instance is attached to volumes without being asked."""
    filtering: bool = False
    """FltStartFiltering was called."""
    instance: int = 0
    """PFLT_INSTANCE on the volume; 0: there is none."""
    ports: int = 0
    """Communication ports that are open."""
    unloads: bool = False
    """Its driver is being unloaded, whether it wants to or not."""


class FilterManager:
    """Of one boot."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._volume = 0
        self.filters: dict[int, Minifilter] = {}
        """By the address."""
        self.unload_routines: dict[int, int] = {}
        """By the address of the driver object the DriverUnload that a minifilter's driver had before."""
        self.names: dict[int, int] = {}
        """By the address of each FLT_FILE_NAME_INFORMATION how many references there are to it."""

    @property
    def volume(self) -> int:
        """PFLT_VOLUME of volume C:."""
        if not self._volume:
            self._volume = self._system.heap.allocate(_OBJECT_SIZE)
        return self._volume

    def make_object(self, tag: bytes) -> int:
        """An object, in pool of the filter manager's own; 0 where there is no memory."""
        return self._system.pool.allocate(_OBJECT_SIZE, tag, paged=False, site=None)

    def volume_name(self, volume: int) -> str | None:
        """The name of a volume; None for what is none."""
        return VOLUME_DEVICE if volume == self._volume else None
