"""Pool as Driver Verifier's special pool keeps it: every allocation on pages of its own.

A block ends where its page ends, so that an overrun runs into an unmapped page; the bytes before it hold
a pattern that is checked when it is freed; freed memory is unmapped and its addresses are never used
again. Touching freed pool therefore always faults, which on Windows it does only by luck or under special
pool. Sources: Microsoft, *Special Pool*; *Bug Check 0xC2: BAD_POOL_CALLER*; *Bug Check 0xC1:
SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION*.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal, NamedTuple

from harness.virtual.cpu.memory import PAGE, Memory, page_ceiling
from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.pageable import Pageable

__all__ = ["MAX_ALLOCATION", "POOL_BASE", "REQUEST_TAG", "Pool", "PoolBlock"]

MAX_ALLOCATION: Final = 256 << 20
"""Larger requests fail as if memory had run out."""
MAX_TOTAL: Final = 1 << 30
"""So do requests that would bring all live allocations above this."""

POOL_BASE: Final = 0xFFFFA70B_00000000
"""Where the pool begins."""
REQUEST_TAG: Final = b"Io  "
"""Of the I/O manager's requests, with their buffers."""
_ALIGNMENT: Final = 16
_PATTERN: Final = 0xA5
_REMEMBERED: Final = 65536
_BAD_POOL_CALLER: Final = 0xC2
_SPECIAL_POOL_CORRUPTION: Final = 0xC1
_UNDERRUN: Final = 0x23
"""Corruption before the block."""
_OVERRUN: Final = 0x24
"""Corruption behind it, within its page."""


class PoolBlock(NamedTuple):
    """One allocation."""

    address: int
    size: int
    """Bytes asked for."""
    tag: bytes
    paged: bool
    site: CallSite | None
    """The call that allocated it; None: the kernel itself did."""
    region: int
    pages: int
    of_object: bool
    """It holds a kernel object, which the driver has to delete as such."""
    freed: CallSite | None = None
    """The call that freed it."""

    @property
    def owner(self) -> str | None:
        """Driver that allocated it."""
        return None if self.site is None else self.site.driver


class Pool:
    """Paged and nonpaged pool together.

    :param pageable: is told of paged pool.
    """

    def __init__(self, memory: Memory, pageable: Pageable) -> None:
        self._memory = memory
        self._pageable = pageable
        self._next = POOL_BASE
        self._total = 0
        self._live: dict[int, PoolBlock] = {}
        self._freed: OrderedDict[int, PoolBlock] = OrderedDict()

    def allocate(
        self,
        size: int,
        tag: bytes,
        *,
        paged: bool,
        site: CallSite | None,
        fill: int = 0,
        of_object: bool = False,
    ) -> int:
        """Address of a block of ``size`` bytes; 0 when there is no memory.

        :param fill: what its bytes hold at first.
        :param of_object: it is for a kernel object: no leftover by itself.
        """
        room = (max(size, 1) + _ALIGNMENT - 1) & ~(_ALIGNMENT - 1)
        pages = page_ceiling(room)
        if size > MAX_ALLOCATION or self._total + pages > MAX_TOTAL:
            return 0
        region = self._next
        self._next += pages + PAGE
        # From a page on, blocks are page-aligned; smaller ones are pushed against the guard page.
        address = region if room >= PAGE else region + pages - room
        self._memory.map(region, pages)
        view = self._memory.view(region, pages)
        view[:] = bytes((_PATTERN,)) * pages
        view[address - region : address - region + size] = bytes((fill,)) * size
        if paged:
            self._pageable.add(region, pages)
        self._total += pages
        self._live[address] = PoolBlock(address, size, tag, paged, site, region, pages, of_object)
        return address

    def free(self, address: int, tag: bytes | None = None, site: CallSite | None = None) -> None:
        """Unmap the block.

        :param tag: the tag given to ExFreePoolWithTag; None does not check it.
        :param site: the call that frees it.
        :raises BugcheckRaised: 0xC2 for what is no live block, 0xC1 for one that was written around.
        """
        block = self._live.get(address)
        if block is None:
            was = self._freed.get(address)
            if was is not None:
                header = int.from_bytes(was.tag.ljust(4, b"\0"), "little") << 32 | was.size
                raise BugcheckRaised(_BAD_POOL_CALLER, 0x7, 0, header, address)
            if address < 0xFFFF_8000_0000_0000:
                raise BugcheckRaised(_BAD_POOL_CALLER, 0x40, address, 0xFFFF_8000_0000_0000, 0)
            raise BugcheckRaised(_BAD_POOL_CALLER, 0x46, address, 0, 0)
        if tag is not None and tag != block.tag:
            raise BugcheckRaised(_BAD_POOL_CALLER, 0xA, address, _tag_number(block.tag), _tag_number(tag))
        self._check_surroundings(block)
        self._pageable.remove(block.region)
        self._memory.unmap(block.region)
        self._total -= block.pages
        self._freed[address] = self._live.pop(address)._replace(freed=site)
        if len(self._freed) > _REMEMBERED:
            self._freed.popitem(last=False)

    def check(self, address: int) -> None:
        """Look around a live block as when it is freed.

        :raises BugcheckRaised: 0xC1, it was written around.
        """
        self._check_surroundings(self._live[address])

    def find(self, address: int) -> PoolBlock | None:
        """The live block that starts at ``address``."""
        return self._live.get(address)

    def leftovers(self, owner: str) -> list[PoolBlock]:
        """Live blocks that ``owner`` allocated, without those of kernel objects."""
        return [block for block in self._live.values() if block.owner == owner and not block.of_object]

    def owner_of(self, address: int) -> str | None:
        """The driver whose block has or had the address, the latest one; None if none did."""
        block = self.holds(address)
        return None if block is None else block.owner

    def holds(self, address: int) -> PoolBlock | None:
        """The block whose pages hold the address, or held it; None if none did, or it is forgotten."""
        if not POOL_BASE <= address < self._next:
            return None
        blocks = (*self._live.values(), *reversed(self._freed.values()))
        return next((b for b in blocks if b.region <= address < b.region + b.pages), None)

    def freed_at(self, address: int) -> PoolBlock | None:
        """The freed block whose pages held the address; None if none did, or it is forgotten."""
        if not POOL_BASE <= address < self._next:
            return None
        found = (b for b in reversed(self._freed.values()) if b.region <= address < b.region + b.pages)
        return next(found, None)

    def before(self, address: int) -> PoolBlock | None:
        """The live block behind which the address lies, in its guard page; None if none does."""
        for block in self._live.values():
            if block.region + block.pages <= address < block.region + block.pages + PAGE:
                return block
        return None

    def state_of(self, address: int) -> Literal["freed", "beyond"] | None:
        """What an unmapped address was: inside a freed block's pages, or the guard page behind a block."""
        if self.freed_at(address) is not None:
            return "freed"
        return None if self.before(address) is None else "beyond"

    def _check_surroundings(self, block: PoolBlock) -> None:
        view = self._memory.view(block.region, block.pages)
        start = block.address - block.region
        for low, high, what in ((0, start, _UNDERRUN), (start + block.size, block.pages, _OVERRUN)):
            around = bytes(view[low:high])
            if around.count(_PATTERN) != len(around):
                wrong = next(i for i, byte in enumerate(around) if byte != _PATTERN)
                raise BugcheckRaised(
                    _SPECIAL_POOL_CORRUPTION, block.address, block.region + low + wrong, block.size, what
                )


def _tag_number(tag: bytes) -> int:
    return int.from_bytes(tag.ljust(4, b"\0")[:4], "little")
