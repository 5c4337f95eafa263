"""Memory that can be paged out, and is: whenever the IRQL is raised to DISPATCH_LEVEL, as Driver Verifier's
forced IRQL checking does it. It comes back when it is accessed below; from DISPATCH_LEVEL on it cannot.

Pageable are paged pool and the sections of drivers whose name begins with PAGE, unless they are locked. Where
there is neither nothing costs; of what there is only that costs which was accessed since the IRQL was raised
before.

Sources: Microsoft, *Force IRQL Checking*, *Making Drivers Pageable*, *MmLockPagableCodeSection* (wdm.h).
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.windows.irql import DISPATCH_LEVEL

__all__ = ["Pageable", "is_pageable_section"]

_PAGEABLE: Final = "PAGE"


def is_pageable_section(name: str) -> bool:
    """Whether Windows pages out a driver's section of that name."""
    return name.startswith(_PAGEABLE)


class Pageable:
    """All pageable regions, by the address that they start at."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._regions: dict[int, int] = {}
        """Their sizes."""
        self._resident: dict[int, None] = {}
        """Those that are in memory and not locked, the longest first."""
        self._locked: dict[int, int] = {}
        """How often each is locked."""
        memory.paged_in = self._came_back

    def add(self, region: int, size: int) -> None:
        """The mapped region that starts there can be paged out."""
        self._regions[region] = size
        self._resident[region] = None

    def remove(self, region: int) -> None:
        """It is about to be unmapped, if it is one."""
        for known in (self._regions, self._resident, self._locked):
            known.pop(region, None)

    def at(self, address: int) -> int | None:
        """The pageable region that holds the address."""
        for region, size in self._regions.items():
            if region <= address < region + size:
                return region
        return None

    def lock(self, region: int) -> None:
        """Keep it in memory, until :meth:`unlock` was called as often."""
        self._locked[region] = self._locked.get(region, 0) + 1
        self._memory.show(region, write=False)
        self._resident.pop(region, None)

    def unlock(self, region: int) -> None:
        """See :meth:`lock`; what is not locked is left alone."""
        if self._locked.get(region, 0) > 1:
            self._locked[region] -= 1
        elif self._locked.pop(region, None) is not None:
            self._resident[region] = None

    def irql_raised(self, level: int) -> None:
        """The IRQL is ``level`` now, and was less."""
        if level >= DISPATCH_LEVEL and self._resident:
            for region in self._resident:
                self._memory.page_out(region)
            self._resident.clear()

    def _came_back(self, region: int) -> None:
        if region in self._regions and region not in self._locked:
            self._resident[region] = None
