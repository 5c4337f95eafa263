"""What drivers have taken of the kernel, each with the call that took it.

The kernel's own tables say what exists; here stands only who asked for it, so that what is left behind at an
unload can be told with its origin.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from enum import Enum
from typing import NamedTuple

__all__ = ["Belonging", "Belongings", "CallSite"]


class CallSite(NamedTuple):
    """A call of a driver into the kernel."""

    driver: str
    """Name of its image."""
    routine: str
    """The export that was called."""
    address: int
    """Where the call returns to, or of a tail call where the driver's code was entered."""


class Belonging(Enum):
    """What a driver can have: one of it, several of it."""

    CALLBACK = ("callback", "callbacks")
    BUGCHECK_CALLBACK = ("bugcheck callback", "bugcheck callbacks")
    REFERENCE = ("object reference", "object references")
    POOL = ("pool allocation", "pool allocations")
    HANDLE = ("handle", "handles")
    IO_WORK_ITEM = ("allocated work item", "allocated work items")
    QUEUED_WORK = ("work item that has not ended", "work items that have not ended")
    TIMER = ("timer that is set", "timers that are set")
    EX_TIMER = ("allocated timer", "allocated timers")
    DPC = ("queued DPC", "queued DPCs")
    THREAD = ("system thread that runs", "system threads that run")
    DEVICE = ("device", "devices")
    SYMBOLIC_LINK = ("symbolic link", "symbolic links")
    RESOURCE = ("ERESOURCE", "ERESOURCEs")
    LOOKASIDE_LIST = ("lookaside list", "lookaside lists")
    PROVIDER = ("ETW provider", "ETW providers")
    MINIFILTER = ("registered minifilter", "registered minifilters")
    CONTEXT = ("reference to a context of a minifilter", "references to contexts of minifilters")
    FILTER_OBJECT = ("reference to a filter or volume", "references to filters or volumes")
    FILE_NAME = ("reference to file name information", "references to file name information")

    def counted(self, count: int) -> str:
        """``3 object references``."""
        return f"{count} {self.value[count != 1]}"


class Belongings:
    """Who took what; a thing is known by its kind and a key, the address or the name of it."""

    def __init__(self) -> None:
        self._sites: dict[tuple[Belonging, Hashable], list[CallSite]] = {}

    def take(self, kind: Belonging, key: Hashable, site: CallSite | None) -> None:
        """The call took it; a thing that it had before it has anew. None: no driver called."""
        if site is not None:
            self._sites[kind, key] = [site]

    def take_once_more(self, kind: Belonging, key: Hashable, site: CallSite | None) -> None:
        """The call took one more of it, of what is counted."""
        if site is not None:
            self._sites.setdefault((kind, key), []).append(site)

    def give_back(self, kind: Belonging, key: Hashable) -> None:
        """It, or of what is counted the latest of it, is given back."""
        sites = self._sites.get((kind, key))
        if sites is not None:
            sites.pop()
            if not sites:
                del self._sites[kind, key]

    def taken(self, kind: Belonging, key: Hashable) -> list[CallSite]:
        """The calls that took it and did not give it back."""
        return self._sites.get((kind, key), [])

    def of(self, driver: str) -> Iterator[tuple[Belonging, Hashable, CallSite]]:
        """All that calls of that driver took, oldest first."""
        for (kind, key), sites in self._sites.items():
            for site in sites:
                if site.driver == driver:
                    yield kind, key, site

    def forget(self, driver: str) -> None:
        """It is unloaded."""
        for (kind, key), sites in list(self._sites.items()):
            kept = [site for site in sites if site.driver != driver]
            if kept:
                self._sites[kind, key] = kept
            else:
                del self._sites[kind, key]
