"""The target's memory with what only a debugger is to see in it: laid over its reads, never written.

So nothing that a debugger looks at can change what the driver finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.virtual.interfaces import KernelMemory

__all__ = ["Patch", "ShownMemory"]


class Patch(NamedTuple):
    """Bytes that a debugger sees at ``address`` instead of what is there."""

    address: int
    content: bytes


class ShownMemory:
    """:class:`~harness.virtual.interfaces.KernelMemory` for a debugger.

    :param patches: what to show; asked at the first read after each :meth:`renew`.
    """

    def __init__(self, memory: KernelMemory, patches: Callable[[], Iterable[Patch]]) -> None:
        self._memory = memory
        self._make_patches = patches
        self._patches: tuple[Patch, ...] | None = None

    def renew(self) -> None:
        """The target has run since the last read."""
        self._patches = None

    def read(self, address: int, size: int) -> bytes:
        """See :class:`~harness.virtual.interfaces.KernelMemory`."""
        data = self._memory.read(address, size)
        if self._patches is None:
            self._patches = tuple(self._make_patches())
        end = address + len(data)
        for at, content in self._patches:
            first, last = max(at, address), min(at + len(content), end)
            if first < last:
                data = data[: first - address] + content[first - at : last - at] + data[last - address :]
        return data

    def write(self, address: int, data: bytes) -> bool:
        """See :class:`~harness.virtual.interfaces.KernelMemory`."""
        return self._memory.write(address, data)

    def protection(self, address: int) -> str | None:
        """See :class:`~harness.virtual.interfaces.KernelMemory`."""
        return self._memory.protection(address)

    def ranges(self) -> list[tuple[int, int]]:
        """See :class:`~harness.virtual.interfaces.KernelMemory`."""
        return self._memory.ranges()
