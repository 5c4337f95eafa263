"""Where process and thread objects lie: page-sized slots of one region, backed a stretch at a time."""

from __future__ import annotations

from collections import deque
from typing import Final

from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.kernel.heap import STALE

__all__ = ["EPROCESS_REGION", "ETHREAD_REGION", "ObjectSlots"]

EPROCESS_REGION: Final = 0xFFFF_A100_0000_0000
"""Where process objects lie."""
ETHREAD_REGION: Final = 0xFFFF_A100_1000_0000
"""Where thread objects lie."""
SLOTS: Final = 0x1000_0000 // PAGE
"""An EPROCESS (0x880 bytes in build 18362) or ETHREAD with its object header has a page of its own."""
_STALE_PAGE: Final = bytes((STALE,)) * PAGE
_STRETCH: Final = 0x40
"""Slots that are backed at once: the host spends memory on those that are written."""


REST: Final = 0x40
"""So many free slots are not used again: whoever uses an object that is gone is to find that out, and not
another object."""


class ObjectSlots:
    """Addresses for kernel objects of one kind, of the free ones the one that was freed first."""

    def __init__(self, memory: Memory, region: int) -> None:
        self._memory = memory
        self._region = region
        self._free: deque[int] = deque()
        self._next = 0

    def allocate(self) -> int:
        """The address of a free slot; what it held before is still there.

        :raises OverflowError: 65536 objects exist.
        """
        if len(self._free) > REST or (self._free and self._next == SLOTS):
            return self._free.popleft()
        if self._next == SLOTS:
            raise OverflowError(f"no slot left for another object at 0x{self._region:x}")
        address = self._region + self._next * PAGE
        if self._next % _STRETCH == 0:
            self._memory.map(address, _STRETCH * PAGE)
        self._next += 1
        return address

    def free(self, address: int) -> None:
        """The object at ``address`` is gone, and its slot holds nothing that leads anywhere."""
        self._memory.view(address, PAGE)[:] = _STALE_PAGE
        self._free.append(address)
