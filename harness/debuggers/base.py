"""What every debugger offers: attach to a target, hear it, let it go.

A debugger is the host side of KD. ``native`` is ours, ``pykd`` is Microsoft's DbgEng, ``ntoseye`` is a third
one; they differ in nothing that a caller of this contract can see. What a debugger reports arrives as values
in the order the target sent it; :meth:`Debugger.receive` is the only way they come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from harness.breakpoints.seen import CallbackSeen, RoutineRegistered
from harness.errors import DriverBugcheck

__all__ = [
    "BugcheckSeen",
    "CallbackDebugger",
    "CallbackSeen",
    "CommandDebugger",
    "Debugger",
    "DebuggerEvent",
    "Disconnected",
    "FileServingDebugger",
    "Module",
    "ModuleLoaded",
    "ModuleUnloaded",
    "PrintReceived",
    "Release",
    "ReplacementMap",
    "RoutineRegistered",
    "Stopped",
    "SymbolDebugger",
    "TargetInfo",
    "TargetRebooted",
    "path_parts",
]


@dataclass(frozen=True)
class Stopped:
    """The target is halted for another reason: a break-in, a breakpoint, an exception."""

    reason: str
    code: int
    """The exception's NTSTATUS; 0: it is none."""
    address: int
    first_chance: bool = True
    """False: nothing in the target handles the exception, and let go it bugchecks."""
    break_in: bool = False
    """This debugger asked for it: nothing that the target did."""


@dataclass(frozen=True)
class TargetInfo:
    """What the target said about itself at attach."""

    build: int
    """Windows build number, for example 18362."""
    machine_type: int
    """PE machine type: 0x8664 (x64), 0x14c (x86), 0xaa64 (arm64)."""
    processors: int
    kernel_base: int
    debugger_version: str
    """Name and version of the debugger itself."""
    stop: Stopped | None = None
    """The exception at which it stood already; None: it ran, or the debugger cannot tell."""

    @property
    def facts(self) -> dict[str, str]:
        """Of the target itself, as the header of a trace has them."""
        return {
            "build": str(self.build),
            "machine_type": f"0x{self.machine_type:x}",
            "processors": str(self.processors),
        }


@dataclass(frozen=True)
class Module:
    """A loaded kernel image, as ``lm`` shows it."""

    name: str
    base: int
    size: int


@dataclass(frozen=True)
class PrintReceived:
    """One DbgPrint call, inner and missing line ends included."""

    data: bytes
    """Its text as the target sent it, 8-bit: in which encoding, the driver's author knows."""
    processor: int | None
    host_time: float

    @property
    def text(self) -> str:
        """Its text read as UTF-8; a byte that is none stays ``\\xd3``."""
        return self.data.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class ModuleLoaded:
    module: Module


@dataclass(frozen=True)
class ModuleUnloaded:
    name: str
    base: int


@dataclass(frozen=True)
class BugcheckSeen:
    """The target stopped with a bugcheck and is halted."""

    code: int
    parameters: tuple[int, int, int, int]
    module: str | None
    """The image at fault; None where it is not known."""
    offset: int | None = None
    """Of the instruction at fault in that image; None where the bugcheck does not tell it."""

    @classmethod
    def of(cls, crash: DriverBugcheck) -> BugcheckSeen:
        """What was raised, as it was seen."""
        return cls(crash.code, crash.parameters, crash.module, crash.offset)

    def error(self) -> DriverBugcheck:
        """What is raised where nobody goes on."""
        return DriverBugcheck(self.code, self.parameters, module=self.module, offset=self.offset)


@dataclass(frozen=True)
class TargetRebooted:
    """The target reboots or began anew; the debugger goes on listening for it."""

    announced: bool | None = None
    """It said so itself; False: it was there anew without a word, as after a reset, or when its machine went
    back to a snapshot; None: the debugger cannot tell."""


@dataclass(frozen=True)
class Disconnected:
    """The connection was closed, and the debugger waits for it to come back: what the target says until then
    is not heard."""

    reason: str


DebuggerEvent: TypeAlias = (
    PrintReceived
    | ModuleLoaded
    | ModuleUnloaded
    | BugcheckSeen
    | Stopped
    | TargetRebooted
    | Disconnected
    | CallbackSeen
    | RoutineRegistered
)


@dataclass(frozen=True)
class Release:
    """How the target was left."""

    running: bool | None
    """True: left running; False: left halted; None: not known."""
    proof: str
    """How that is known, in a sentence."""
    crashed: bool = False
    """It bugchecked, so it could not be left running."""
    bugcheck: BugcheckSeen | None = None
    """The bugcheck, where it came while the target was released."""
    stops: tuple[Stopped, ...] = ()
    """What else it stopped for while it was released; it was let go from there."""

    @property
    def way_out(self) -> str:
        """What lets a target go that is not known to run; empty where nothing is to be done."""
        if self.running or self.crashed:
            return ""
        return "should it stand still, attach once more, which lets it go: `procnotify record ... --for 1s`"

    def __str__(self) -> str:
        state = {True: "was left running", False: "was left halted", None: "is not known to run"}[
            self.running
        ]
        return f"the target {'crashed' if self.crashed else state}: {self.proof}"


class Debugger(Protocol):
    """The host side of KD. All times are in seconds; every wait has a deadline.

    Life: ``listen`` → ``attach`` (target halted) → ``go`` → ``receive``... → ``detach``. Any call may raise
    :class:`harness.errors.ConnectionFailed`, :class:`~harness.errors.TargetLost` or
    :class:`~harness.errors.DebuggerDied`.
    """

    name: str

    def listen(self) -> None:
        """Bind the port, so that the target may start dialling. Port in use: ConnectionFailed."""

    def attach(self, *, timeout: float) -> TargetInfo:
        """Wait for the target, break in, learn what it is. The target is halted on return."""

    def go(self) -> None:
        """Let the halted target run. An exception other than a breakpoint or a single step is passed on to it
        as not handled (WinDbg's ``gn``), for it is not the debugger's to handle."""

    def break_in(self, *, timeout: float) -> Stopped:
        """Halt the running target. DriverBugcheck: it crashed instead, and is halted for that."""

    def receive(self, *, timeout: float) -> DebuggerEvent | None:
        """The next thing the target said, or None after ``timeout``. After ``detach``: what it still said
        until then, without waiting."""

    def modules(self) -> list[Module]:
        """The kernel's loaded module list. The target must be halted."""

    def detach(self, *, timeout: float) -> Release:
        """End the session, leaving the target running and proving it; never raises for a dead target."""


@runtime_checkable
class SymbolDebugger(Protocol):
    """The capability to read a driver's symbols from a file (pykd)."""

    def use_symbols(self, pdb: Path) -> None:
        """Have symbols looked for in that .pdb, too; the target is halted.

        :raises RigError: the debugger cannot be given the file.
        """
        ...


def path_parts(path: str) -> tuple[str, ...]:
    """A path of the target as those of ``.kdfiles`` are compared: its names, whatever their letter case, and
    without the ``\\??\\`` of an NT path."""
    names = (name for name in path.casefold().replace("/", "\\").split("\\") if name)
    return tuple(name for name in names if name != "??")


class ReplacementMap(Protocol):
    """The driver replacement map (``.kdfiles``): files that the target gets of its debugger, not its disk."""

    def add(self, path: str, data: bytes) -> None:
        """Have the target get ``data`` when it asks for the file at ``path``; the target is halted.

        :param path: of the target, or the last names of it: ``x.sys`` stands for a file of that name in any
            folder.
        :raises RigError: the debugger cannot be given the file.
        """
        ...

    def was_opened(self, path: str) -> bool:
        """Whether the target has asked for that file since it was mapped, and was given it."""
        ...


@runtime_checkable
class FileServingDebugger(Protocol):
    """The capability to answer the target's requests for files (native, pykd)."""

    @property
    def files(self) -> ReplacementMap:
        """What it answers them with; nothing at first. It is the debugger's, and ends with it."""
        ...


@runtime_checkable
class CallbackDebugger(Protocol):
    """The capability to see callbacks by itself, at breakpoints (native)."""

    def watch_callbacks(self) -> None:
        """Stop the target where callbacks are registered from now on, and at every routine that is:
        :class:`CallbackSeen` and :class:`RoutineRegistered` come out of :meth:`Debugger.receive`, and the
        target runs on by itself. The target is halted. Letting it go at the end takes the breakpoints away.

        :raises UsageError: a target of a machine type that is not known.
        :raises RigError: its kernel's exports cannot be read.
        """
        ...


@runtime_checkable
class CommandDebugger(Protocol):
    """The capability to execute debugger commands (pykd, ntoseye)."""

    def execute(self, command: str, *, timeout: float) -> str:
        """Run one command line while the target is halted; its output. One that has not ended after
        ``timeout`` (it let the target run, and nothing stopped it) is broken off, which its output says.

        :raises UsageError: the debugger refuses it.
        """
