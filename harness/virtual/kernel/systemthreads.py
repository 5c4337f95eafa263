"""What the kernel asks of the model of processes and threads: threads of the System process, ends of others.

With such a model above it the kernel gets them from there; alone it makes do with threads of its own, which
nobody is told of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from harness.virtual.dispatcher.dispatcher import Activity, DispatchedThread, Dispatcher
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext

__all__ = ["LoneThread", "LoneThreads", "ThreadBody", "ThreadModel", "run_alone"]

ThreadBody: TypeAlias = Callable[[DispatchedThread], Program[None]]
_SYSTEM_PID: Final = 4
_FIRST_TID: Final = 0x1_0000
_LONE_WORKERS: Final = 8
_T = TypeVar("_T")


class ThreadModel(Protocol):
    """The model of processes and threads."""

    def system_workers(self) -> Sequence[DispatchedThread]:
        """Its worker threads."""

    def create_system_thread(self, body: ThreadBody) -> Program[int]:
        """Make a thread, report it in the thread that runs now, and let it execute ``body`` and exit; its
        TID."""

    def find_thread(self, pid: int, tid: int) -> DispatchedThread | None:
        """Any thread that has not ended."""

    def start_address(self, pid: int, tid: int) -> int:
        """Where the thread's start routine lies in its process; 0: not known."""

    def terminate_process(self, pid: int, status: int) -> bool:
        """Begin the end of a process, with that NTSTATUS for its exit status; False: it had begun.

        :raises LookupError: without that process the harness reaches the target no more.
        """


@dataclass(eq=False)
class LoneThread:
    """A thread of which only the dispatcher knows."""

    pid: int
    tid: int
    processor: int = 0
    busy_until: int = 0

    @classmethod
    def of(cls, context: ThreadContext) -> LoneThread:
        """The thread of a context."""
        return cls(context.pid, context.tid, context.cpu)


class LoneThreads:
    """A kernel's own :class:`ThreadModel`."""

    def __init__(self, dispatcher: Dispatcher, ended: Callable[[int], None]) -> None:
        self._dispatcher = dispatcher
        self._ended = ended
        self._next = _FIRST_TID

    def system_workers(self) -> Sequence[DispatchedThread]:
        """See :class:`ThreadModel`."""
        return [LoneThread(_SYSTEM_PID, self._tid()) for _ in range(_LONE_WORKERS)]

    def create_system_thread(self, body: ThreadBody) -> Program[int]:
        """See :class:`ThreadModel`."""
        thread = LoneThread(_SYSTEM_PID, self._tid())
        self._dispatcher.run_thread(thread, self._whole(thread, body), Activity.BACKGROUND)
        yield from ()  # a program, like the model's
        return thread.tid

    def find_thread(self, pid: int, tid: int) -> DispatchedThread | None:
        """See :class:`ThreadModel`."""
        return LoneThread(pid, tid)

    def start_address(self, pid: int, tid: int) -> int:
        """Nobody knows."""
        return 0

    def terminate_process(self, pid: int, status: int) -> bool:
        """None of its processes lives by itself."""
        return False

    def _whole(self, thread: LoneThread, body: ThreadBody) -> Program[None]:
        yield from body(thread)
        self._ended(thread.tid)

    def _tid(self) -> int:
        self._next += 4
        return self._next


def run_alone(dispatcher: Dispatcher, context: ThreadContext, rest: Program[_T]) -> _T:
    """Let time pass until a program has ended that runs in that thread; what it ended with."""
    results = list[_T]()

    def whole() -> Program[None]:
        results.append((yield from rest))

    dispatcher.run_thread(LoneThread.of(context), whole())
    while not results:
        dispatcher.step()
    return results[0]
