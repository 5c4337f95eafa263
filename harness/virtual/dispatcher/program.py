"""What a thread executes, as a program that stands in the middle and goes on later.

A program is a generator: it yields what it waits for and is resumed when that has come. What it calls either
ends at once, or hands back a program for the rest of itself (:func:`begin`), which the caller ends in turn
(:func:`ended`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias, TypeVar

__all__ = ["Program", "Signal", "ThreadWait", "Wait", "begin", "ended"]


class Signal:
    """Something threads wait for; once set it stays set."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        """Let everyone who waits go on."""
        self._set = True
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()

    def when_set(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` as soon as the signal is set: now, if it is."""
        if self._set:
            resume()
        else:
            self._waiting.append(resume)


class ThreadWait(NamedTuple):
    """The whole thread stands still in the kernel, with everything else that it was to do."""

    until: Signal | int
    """What it waits for, or how long (100 ns units)."""
    holds_processor: bool = False
    """Its processor stands still with it, as at DISPATCH_LEVEL; it goes on there and at once."""
    sooner: Signal | None = None
    """What ends a wait for a time before that."""


Wait: TypeAlias = int | Signal | ThreadWait
"""How long (100 ns units), or for what, a program waits before it goes on."""
_T = TypeVar("_T")
Program: TypeAlias = Generator[Wait, None, _T]


def begin(program: Program[_T]) -> _T | Program[_T]:
    """Run ``program`` until it waits for the first time: its result, or the rest of it."""
    try:
        wait = next(program)
    except StopIteration as end:
        result: _T = end.value
        return result
    return _rest(wait, program)


def _rest(wait: Wait, program: Program[_T]) -> Program[_T]:
    yield wait
    return (yield from program)


def ended(call: _T | Program[_T]) -> Program[_T]:
    """The result of what :func:`begin` gave, once it has ended."""
    if isinstance(call, Generator):
        return (yield from call)
    return call
