"""What an ERESOURCE knows: its owner, who shares it, who wants it alone. Threads are KTHREAD addresses."""

from __future__ import annotations

from collections import Counter

__all__ = ["Resource"]


class Resource:
    """One ERESOURCE. A thread may have it several times; one that has it alone may share it too."""

    def __init__(self) -> None:
        self.owner = 0
        """Who has it alone; 0 for nobody."""
        self.shared: Counter[int] = Counter()
        """How often each thread shares it."""
        self.waiting_exclusive: set[int] = set()
        """Who waits to have it alone: newcomers do not share it meanwhile."""
        self._exclusive = 0

    def can(self, thread: int, *, exclusive: bool, starve: bool) -> bool:
        """The thread can have it now.

        :param starve: pass by those who wait to have it alone.
        """
        if self.owner:
            return self.owner == thread
        if exclusive:
            return not self.shared
        return starve or thread in self.shared or not self.waiting_exclusive

    def take(self, thread: int, *, exclusive: bool) -> None:
        """The thread has it once more."""
        if exclusive:
            self.owner = thread
            self._exclusive += 1
        elif self.owner == thread:
            self._exclusive += 1  # an owner's shared requests count as his own (ExAcquireResourceSharedLite)
        else:
            self.shared[thread] += 1

    def release(self, thread: int) -> bool:
        """The thread gives it back once; False when it does not have it."""
        if self.owner == thread and self._exclusive:
            self._exclusive -= 1
            if not self._exclusive:
                self.owner = 0
            return True
        if self.shared[thread] <= 0:
            del self.shared[thread]
            return False
        self.shared[thread] -= 1
        if not self.shared[thread]:
            del self.shared[thread]
        return True

    def convert(self, thread: int) -> bool:
        """The owner goes on with it shared; False when the thread is not the owner."""
        if self.owner != thread or not self._exclusive:
            return False
        self.shared[thread] = self._exclusive
        self.owner, self._exclusive = 0, 0
        return True

    def count(self, thread: int) -> int:
        """How often the thread has it."""
        return self._exclusive if self.owner == thread else self.shared.get(thread, 0)
