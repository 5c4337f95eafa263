"""Waiting that Ctrl-C ends on every system: Windows does not interrupt a thread that waits for a lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any, Final

__all__ = ["SLICE_SECONDS", "is_done_within", "wait_in_slices"]

SLICE_SECONDS: Final = 0.25
"""How long Ctrl-C may go unheard."""


def wait_in_slices(wait_once: Callable[[float], bool], timeout: float) -> bool:
    """Whether what is waited for comes within ``timeout`` seconds.

    :param wait_once: waits for the seconds that it is given, and says whether it has come.
    """
    deadline = monotonic() + timeout
    while True:
        left = max(deadline - monotonic(), 0.0)
        if wait_once(min(left, SLICE_SECONDS)):
            return True
        if left <= SLICE_SECONDS:
            return False


def is_done_within(futures: list[Future[Any]], timeout: float) -> bool:
    """Whether every future has its result, or its error, within ``timeout`` seconds."""
    return wait_in_slices(lambda seconds: not wait(futures, seconds).not_done, timeout)
