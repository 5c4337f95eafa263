"""An asyncio event loop in a thread of its own, for callers that wait for what it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from harness.waiting import SLICE_SECONDS, wait_in_slices

__all__ = ["EventLoopThread", "LoopEndedError"]

T = TypeVar("T")


class LoopEndedError(Exception):
    """The loop was ended before, or while, it did this."""


class EventLoopThread:
    """Runs until it is ended; calls may come from any other thread.

    :param name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns, or the error that it ends with; Ctrl-C cancels it.

        :raises LoopEndedError: the loop was ended meanwhile.
        """
        if self._ended:
            work.close()
            raise LoopEndedError
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed already
            work.close()
            raise LoopEndedError from None
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        try:
            while not wait_in_slices(done.wait, SLICE_SECONDS):
                if not self._thread.is_alive():
                    raise LoopEndedError
            return future.result()
        except CancelledError:
            raise LoopEndedError from None
        except BaseException:
            future.cancel()
            raise

    def end(self) -> None:
        """Cancel what is under way, and end the thread. Idempotent."""
        if not self._ended:
            self._ended = True
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._end.wait())
