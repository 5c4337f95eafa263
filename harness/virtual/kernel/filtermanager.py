"""What the filter manager keeps of drivers: their minifilters with their contexts, and the file name
information that it has lent them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.virtual.kernel.altitudes import Altitude
from harness.virtual.kernel.fileobjects import VOLUME_DEVICE

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["Context", "ContextKind", "FilterCallbacks", "FilterManager", "Minifilter"]

_OBJECT_SIZE: Final = 0x200
"""What an object of the filter manager holds is nobody's to know."""


class FilterCallbacks(NamedTuple):
    """Routines of a minifilter that are called here; 0 for one that it does not have."""

    unload: int
    setup: int
    teardown_start: int
    teardown_complete: int


class ContextKind(NamedTuple):
    """FLT_CONTEXT_REGISTRATION."""

    kind: int
    """FLT_VOLUME_CONTEXT and its like."""
    flags: int
    cleanup: int
    """ContextCleanupCallback; 0: there is none."""
    size: int
    """Bytes; all bits set: any size."""
    tag: bytes
    own_memory: bool
    """The minifilter allocates and frees its contexts itself."""


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
    contexts: tuple[ContextKind, ...] = ()
    held: int = 0
    """References of drivers to it."""
    ports: int = 0
    """Communication ports that are open."""
    unregisters: bool = False
    """FltUnregisterFilter was called."""
    unloads: bool = False
    """Its driver is being unloaded, whether it wants to or not."""


@dataclass(eq=False)
class Context:
    """One that was allocated."""

    address: int
    kind: ContextKind
    minifilter: Minifilter
    linked_to: int = 0
    """The instance or volume that it is set on; 0: none."""
    references: int = 1
    """Of drivers, and one of what it is set on."""


class FilterManager:
    """Of one boot."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._volume = 0
        self.filters: dict[int, Minifilter] = {}
        """By the address."""
        self.unload_routines: dict[int, int] = {}
        """By the address of the driver object the DriverUnload that a minifilter's driver had before."""
        self.contexts: dict[int, Context] = {}
        """By the address."""
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

    def of_instance(self, instance: int) -> Minifilter | None:
        """Whose instance it is."""
        return next((found for found in self.filters.values() if found.instance == instance), None)

    def context_on(self, item: int, minifilter: Minifilter) -> Context | None:
        """What the minifilter has set on an instance or a volume."""
        ours = (found for found in self.contexts.values() if found.minifilter is minifilter)
        return next((found for found in ours if found.linked_to == item), None)

    def volume_name(self, volume: int) -> str | None:
        """The name of a volume; None for what is none."""
        return VOLUME_DEVICE if volume == self._volume else None
