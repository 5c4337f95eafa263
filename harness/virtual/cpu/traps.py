"""Why the emulated processor leaves the driver's code: the reasons an export or a fault can give.

These exceptions stay inside the kernel: :mod:`harness.virtual.kernel.kernel` turns them into what the rest of
the harness knows (:class:`~harness.errors.DriverBugcheck`, :class:`~harness.errors.DriverHang`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from harness.virtual.dispatcher.program import Program

__all__ = [
    "Access",
    "BugcheckRaised",
    "Continued",
    "Hung",
    "MemoryFault",
    "ServedAgain",
    "StatusRaised",
    "ThreadEnded",
    "TrapError",
    "Unwound",
]

Access: TypeAlias = Literal["read", "write", "execute"]


class TrapError(Exception):
    """Base of all of them."""


class MemoryFault(TrapError):
    """The access a processor would have faulted on.

    :param address: first byte that could not be accessed.
    :param access: what was tried.
    :param present: True when the page is mapped and its protection forbids the access.
    """

    def __init__(self, address: int, access: Access, *, present: bool) -> None:
        super().__init__(f"{access} at 0x{address:016x}")
        self.address = address
        self.access = access
        self.present = present


class BugcheckRaised(TrapError):
    """KeBugCheckEx: ``code`` and its four parameters (Microsoft, Bug Check Code Reference).

    :param story: what a debugger is told before.
    """

    def __init__(self, code: int, *parameters: int, story: str = "") -> None:
        super().__init__(f"bugcheck 0x{code:08x}")
        self.code = code
        self.story = story
        padded = (*parameters, 0, 0, 0, 0)
        self.parameters: tuple[int, int, int, int] = (padded[0], padded[1], padded[2], padded[3])


class StatusRaised(TrapError):
    """ExRaiseStatus: a software exception with the NTSTATUS ``status`` as its code, not continuable."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exception 0x{status:08x}")
        self.status = status


class Unwound(Exception):
    """The stack was unwound to a frame: the code goes on there, and what stands below it is left.

    :param frame: address of the frame's fixed end.
    :param registers: with which it goes on.
    """

    def __init__(self, frame: int, registers: dict[str, int]) -> None:
        super().__init__(f"unwound to 0x{frame:016x}")
        self.frame = frame
        self.registers = registers


class Hung(TrapError):
    """The driver waits for what can never happen; ``reason`` completes "the driver hangs: it ..."."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Continued(TrapError):
    """The export stands in the middle: ``program`` is the rest of it, and ends with its result."""

    def __init__(self, program: Program[int]) -> None:
        super().__init__("the export goes on later")
        self.program = program


class ServedAgain(TrapError):
    """The debugger stops the target before the export, which has done nothing and is called again from its
    entry when the target goes on."""

    def __init__(self) -> None:
        super().__init__("the export is served again")


class ThreadEnded(TrapError):
    """PsTerminateSystemThread: the thread is done, with the NTSTATUS ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the thread ends with 0x{status:08x}")
        self.status = status
