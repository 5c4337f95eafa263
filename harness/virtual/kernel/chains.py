"""Chains of structures in memory that drivers write: each holds the address of the next, the last holds 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.virtual.cpu.traps import Hung

if TYPE_CHECKING:
    from harness.virtual.cpu.memory import Memory

__all__ = ["links_of"]


def links_of(memory: Memory, head: int, next_offset: int, what: str) -> Iterator[int]:
    """Where the addresses of the structures stand: in ``head``, then in each structure.

    :param next_offset: of the link in a structure, in bytes.
    :param what: of what structures, for the message.
    :raises Hung: one follows itself, after others or at once.
    """
    link, seen = head, set[int]()
    while link not in seen:
        seen.add(link)
        yield link
        following = memory.u64(link)
        if not following:
            return
        link = following + next_offset
    raise Hung(f"goes along a chain of {what} that leads back into itself")
