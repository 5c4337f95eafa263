"""Where a target executes that makes no progress: it is broken into, and its stacks are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PureWindowsPath
from time import monotonic
from typing import Final, Protocol, runtime_checkable

from harness.debuggers.base import Debugger
from harness.debuggers.images import ImagePlace, LoadedImages
from harness.errors import RigError

__all__ = ["MAX_FRAMES", "StackDebugger", "Whereabouts", "find_whereabouts"]

MAX_FRAMES: Final = 16
"""Addresses of one stack that are told, the innermost first."""


@runtime_checkable
class StackDebugger(Protocol):
    """The capability to read the clock and the stacks of a halted target (native)."""

    def interrupt_time(self) -> int | None:
        """The halted target's clock, 100 ns units; None where it cannot be read."""

    def stacks(self, *, timeout: float) -> list[tuple[int, ...]]:
        """One for each processor that gives its registers, the one that reported the stop first: its program
        counter, then the words on its stack, the innermost first. None is begun after ``timeout`` seconds."""


@dataclass(frozen=True)
class Whereabouts:
    """Where a target was found when it was broken into."""

    address: int
    """Of the driver's innermost frame, where one is known, else of the stop."""
    place: ImagePlace | None
    """The image that holds ``address``."""
    in_driver: bool
    """``place`` is in an image of the drivers that were asked for."""
    frames: tuple[ImagePlace, ...]
    """Addresses in images on that processor's stack, the innermost first, at most :data:`MAX_FRAMES`. Nothing
    is unwound to find them: what an earlier call has left there may be among them."""
    clock_moves: bool | None
    """Between two break-ins; None where the clock cannot be read."""

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place is not None else ""
        stack = f"; on its stack: {', '.join(map(str, self.frames))}" if self.frames else ""
        return f"at 0x{self.address:016x}{where}{stack}"


def find_whereabouts(
    debugger: Debugger, images: LoadedImages, drivers: Iterable[str], *, timeout: float
) -> Whereabouts:
    """Break into a running target and look; it is halted on return.

    :param images: the target's.
    :param drivers: file names of the drivers that are looked for.
    :param timeout: seconds for the target to break in; a second time where its clock can be read.
    :raises ProcnotifyError: it does not break in; it bugchecked instead.
    """
    deadline = monotonic() + timeout
    stop = debugger.break_in(timeout=timeout)
    clock_moves: bool | None = None
    stacks: list[tuple[int, ...]] = []
    if isinstance(debugger, StackDebugger):
        before = debugger.interrupt_time()
        debugger.go()
        stop = debugger.break_in(timeout=max(deadline - monotonic(), timeout / 2))
        after = debugger.interrupt_time()
        clock_moves = None if before is None or after is None else after > before
        stacks = _stacks(debugger, timeout)
    names = {_bare(name) for name in drivers}
    found = [images.places(stack) for stack in stacks]
    for frames in found:
        for frame in frames:
            if _bare(frame.image) in names:
                return Whereabouts(frame.address, frame, True, tuple(frames[:MAX_FRAMES]), clock_moves)
    place = images.place(stop.address)
    in_driver = place is not None and _bare(place.image) in names
    frames = found[0] if found else []
    return Whereabouts(stop.address, place, in_driver, tuple(frames[:MAX_FRAMES]), clock_moves)


def _stacks(debugger: StackDebugger, timeout: float) -> list[tuple[int, ...]]:
    try:
        return debugger.stacks(timeout=timeout)
    except RigError:
        return []  # the stop's address is known all the same


def _bare(image: str) -> str:
    """An image's name as it is compared: some debuggers tell it without its extension."""
    name = PureWindowsPath(image).name.lower()
    return name.removesuffix(".sys")
