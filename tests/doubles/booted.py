"""A booted kernel whose debugger is a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.virtual.clock import Clock
from harness.virtual.interfaces import ImageModule, ThreadContext
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.kernel.printfilter import PrintFilter

MAX_OFFERED = 100
"""Chances after which a test has gone wrong: what is continued may come again for ever."""
SYSTEM = ThreadContext(pid=4, tid=8, cpu=0)
USER = ThreadContext(pid=1000, tid=1004, cpu=1)


def open_filter() -> PrintFilter:
    """Lets a plain DbgPrint pass, as after ``ed nt!Kd_DEFAULT_Mask 0xf``."""
    return PrintFilter({"DEFAULT": 0xF})


class Offered(NamedTuple):
    """One chance that the debugger had at an exception."""

    code: int
    address: int
    information: tuple[int, ...]
    first_chance: bool


class ListedDebugger:
    """A DebugPort that writes down what it is told, moves past every break point and handles nothing else."""

    def __init__(self) -> None:
        self.prints: list[bytes] = []
        self.symbols: list[tuple[str, bool]] = []
        self.exceptions: list[tuple[int, int]] = []
        self.offered: list[Offered] = []
        self.handle: Callable[[Offered], bool] = lambda _: False
        """Whether to continue with DBG_CONTINUE from an exception that is no break point."""
        self.bugchecks: list[tuple[int, tuple[int, int, int, int], str | None]] = []
        self.kernel: Kernel | None = None

    def print_string(self, text: bytes, cpu: int) -> None:
        self.prints.append(text)

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        self.symbols.append((module.name, unload))

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        self.exceptions.append((code, address))
        self.offered.append(Offered(code, address, information, first_chance))
        if code == 0x80000003 and self.kernel is not None:
            self.kernel.set_registers({"rip": address + 1})
            return True
        assert len(self.offered) < MAX_OFFERED, "the same exception again and again"
        return self.handle(self.offered[-1])

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        self.bugchecks.append((code, parameters, module))

    def poll(self) -> None:
        """Nobody breaks in."""


class Booted:
    """A kernel with its debugger and its clock."""

    def __init__(self, **options: bool) -> None:
        self.debugger = ListedDebugger()
        self.clock = Clock(now=10_000_000)
        self.kernel = Kernel(self.debugger, self.clock, print_filter=open_filter(), **options)
        self.debugger.kernel = self.kernel

    def load(self, data: bytes, name: str = "misbehave.sys") -> int:
        path = f"\\SystemRoot\\system32\\drivers\\{name}"
        return self.kernel.load_driver(path=path, data=data, context=SYSTEM)

    def symbol(self, name: str) -> int:
        return self.kernel.symbol(name)

    def create(self, pid: int, parent_pid: int = 1000, context: ThreadContext = USER) -> int:
        """The process notification that makes ``misbehave`` do number ``pid``; the creation's NTSTATUS."""
        status = self.kernel.process_notify(parent_pid=parent_pid, pid=pid, create=True, context=context)
        assert isinstance(status, int), "a kernel alone lets time pass until the callbacks have returned"
        return status
