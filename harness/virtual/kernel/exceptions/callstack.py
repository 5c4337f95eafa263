"""The calls that led to where driver code stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from harness.virtual.kernel.exceptions.stackwalk import TableOf, frame_at
from harness.virtual.kernel.exceptions.unwindinfo import BadUnwindInfo, Read

__all__ = ["MAX_CALLS", "call_stack"]

MAX_CALLS: Final = 16
"""Callers that are told; what is further out adds nothing."""


def call_stack(
    read: Read, table_of: TableOf, registers: Mapping[str, int], is_driver: Callable[[int], bool]
) -> list[int]:
    """Where the code executes that ``registers`` stand in, and where its callers go on, as long as they are
    drivers' and their stack can be walked."""
    places: list[int] = []
    while len(places) < MAX_CALLS and is_driver(registers["rip"]):
        places.append(registers["rip"])
        try:
            registers = frame_at(read, table_of, registers).caller
        except BadUnwindInfo:
            break
    return places
