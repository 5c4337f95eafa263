"""What a worker wants of a debugger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

DEBUGGER_EXCEPTIONS = (0x80000003, 0x80000004)
"""STATUS_BREAKPOINT and STATUS_SINGLE_STEP: every other exception is the target's to handle."""


class Refused(Exception):
    """The call cannot be done; the message is for people."""


class Engine(ABC):
    """One session of a debugger. Only :meth:`break_in` and :meth:`answer` may be called from another thread
    than the one that made it."""

    @abstractmethod
    def attach(self, connection: str) -> dict[str, Any]:
        """Wait for the target, without end; it is halted then. Facts about it, see :mod:`main`."""

    @abstractmethod
    def wait(self) -> bool:
        """Let the target run until it stops; False when the session is over. An exception that it stands
        at is passed on to it as not handled, unless it is one of :data:`DEBUGGER_EXCEPTIONS`."""

    @abstractmethod
    def settle(self) -> None:
        """No break-in is asked for any more: rid the halted debugger of what they have left in it."""

    @abstractmethod
    def stop(self) -> dict[str, Any]:
        """Why the target stopped, see :mod:`main`; asked once after each :meth:`wait`."""

    @abstractmethod
    def break_in(self) -> None:
        """Have the running target stop; from any thread."""

    @abstractmethod
    def answer(self, text: str) -> None:
        """Type ``text`` at the prompt that was announced; from any thread."""

    @abstractmethod
    def execute(self, command: str) -> tuple[str, bool]:
        """A debugger command's output, and whether the debugger refused it."""

    @abstractmethod
    def gone(self) -> bool:
        """Whether the session is over, though nobody ended it: a command had the target reboot."""

    @abstractmethod
    def bugcheck(self) -> list[int] | None:
        """Code and parameters, where the halted target has bugchecked."""

    @abstractmethod
    def modules(self) -> list[list[Any]]:
        """The kernel's module list: name, base, size."""

    @abstractmethod
    def interrupt_time(self) -> int | None:
        """KUSER_SHARED_DATA.InterruptTime; None where it cannot be read."""

    @abstractmethod
    def clear_breakpoints(self) -> None:
        """No breakpoint is left in the target."""

    def map_file(self, path: str, file: str) -> None:
        """The target gets ``file`` when it asks for ``path`` (``.kdfiles``), and nothing else of the host."""
        raise Refused("this debugger hands out no files")

    @abstractmethod
    def let_go(self) -> None:
        """End the session; returns when the target has acknowledged that it runs on."""
