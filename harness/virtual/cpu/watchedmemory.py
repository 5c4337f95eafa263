"""Stops code before it reads or writes memory that somebody watches.

A watch costs nothing where there is none: the emulator calls out for accesses within the watched ranges only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import unicorn

from harness.virtual.cpu.engine import CodeEngine
from harness.virtual.cpu.memory import Memory

__all__ = ["Accessed", "WatchedMemory", "is_locked"]

_LOCK: Final = 0xF0
_LEGACY_PREFIXES: Final = frozenset((_LOCK, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x66, 0x67))
_EXCHANGES: Final = (0x86, 0x87)
_LONGEST_INSTRUCTION: Final = 15


class Accessed(NamedTuple):
    """The code is about to access watched memory, and has not done so."""

    address: int
    write: bool
    seen: bytes
    """What lay there."""


class WatchedMemory:
    """The watches of one engine.

    :param stop: stops the code that runs.
    """

    def __init__(self, engine: CodeEngine, memory: Memory, stop: Callable[[Accessed], None]) -> None:
        self._engine = engine
        self._memory = memory
        self._stop = stop
        self._muted = False
        self._stale: Accessed | None = None
        self.ask: Callable[[int, bool], bool] = lambda _address, _write: False
        """Asked before each access, of the address and whether it is a write: whether to stop there."""

    def watch(self, low: int, high: int) -> None:
        """Watch the addresses from ``low`` up to before ``high``."""
        kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        self._engine.hook_add(kinds, self._on_access, begin=low, end=high - 1)

    def undo(self, access: Accessed) -> None:
        """Take back the write before which the code was to stop: the emulator makes it all the same."""
        if access.write:
            self._memory.write(access.address, access.seen)

    @contextmanager
    def unasked(self, stale: Accessed | None) -> Iterator[None]:
        """Nothing stops meanwhile.

        :param stale: what the instruction reads there is what it saw, whatever has been written since; it
            stays written unless the instruction itself writes.
        """
        now = b""
        if stale is not None:
            now = self._memory.read(stale.address, len(stale.seen))
            self._memory.write(stale.address, stale.seen)
        self._muted, self._stale = True, stale
        try:
            yield
        finally:
            if self._stale is not None:
                self._memory.write(self._stale.address, now)
            self._muted, self._stale = False, None

    def _on_access(self, _uc: object, kind: int, address: int, size: int, _value: int, _data: object) -> None:
        write = kind == unicorn.UC_MEM_WRITE
        if self._muted:
            if write and self._stale is not None and self._stale.address == address:
                self._stale = None
            return
        if self.ask(address, write):
            seen = self._memory.read(address, size)
            if len(seen) == size:  # else it faults
                self._stop(Accessed(address, write, seen))


def is_locked(code: bytes) -> bool:
    """Whether the instruction that ``code`` begins with is atomic for the other processors: with a LOCK
    prefix, or XCHG with memory, which needs none (Intel SDM vol. 3, 9.1.2)."""
    for byte in code[:_LONGEST_INSTRUCTION]:
        if byte == _LOCK:
            return True
        if byte not in _LEGACY_PREFIXES and byte & 0xF0 != 0x40:
            return byte in _EXCHANGES
    return False
