"""What a learner is given: the prints of some runs, and the callback calls that they were made in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.events import Event

__all__ = ["PROGRAM", "HeardCall", "HeardPrint", "HeardRun"]

PROGRAM = "image"
"""The name, among a call's texts, of the path of the image, or of the process's program."""


class HeardCall(NamedTuple):
    """One call of one of the driver's callbacks."""

    event: Event
    """What the target knows of it; its ``call`` says when the callback was left."""
    texts: Mapping[str, str]
    """Texts that the driver may print: what it is → the whole path or text. :data:`PROGRAM` is a field of the
    event, the others only tell where a text begins and ends."""


class HeardPrint(NamedTuple):
    """The text of one DbgPrint call."""

    data: bytes
    processor: int
    call: int | None
    """Number of the callback call that it was made in, in its run; None: outside of all."""
    loading: bool
    """Outside of all callbacks, while the driver was being loaded or unloaded."""


class HeardRun(NamedTuple):
    """A run of the driver under one seed."""

    seed: int
    calls: Sequence[HeardCall]
    prints: Sequence[HeardPrint]
    """In the order in which they were made."""
