"""Every error this package raises on purpose, and whose fault each one is.

::

    ProcnotifyError                 (abstract: never raised itself)
    ├── UsageError        exit 2    the command line, a scenario or a driver file is wrong
    │   ├── UserFileError           ... with the file and line of what the user wrote
    │   │   ├── ScenarioError       ... in a scenario
    │   │   ├── GrammarError        ... in a line grammar
    │   │   ├── MachineFileError    ... in a machine file
    │   │   └── ProjectFileError    ... in the project's file
    │   └── DriverFileError         ... a .sys that cannot be a driver for this machine
    │       └── MissingImport       ... or that called what this machine lacks
    ├── RigError          exit 3    the rig failed; nothing is said about the driver
    │   ├── ConnectionFailed        no debugger link: nobody dialled in, wrong key, port in use
    │   ├── MachineError            the machine could not be started, stopped or brought to its clean state
    │   ├── TargetLost              the link or the machine died in the middle
    │   ├── DebuggerDied            the debugger (a worker process, DbgEng) ended or hung
    │   ├── GuestError              the guest channel refused or failed a step
    │   ├── LinesLost               the driver's own counters prove that lines are missing
    │   ├── TraceError              a trace file is cut off, damaged or not ours
    │   ├── ToolchainError          the compiler could not be run or refused the sources
    │   ├── InternalError           what nobody foresaw; the traceback is in a file
    │   └── SearchBudgetError       a trace too ambiguous to be judged within the budget
    └── DriverFault       exit 1    the driver did something wrong
        ├── DriverHang    exit 1    a callback or entry point never returned
        └── DriverBugcheck exit 4   the target bugchecked

Leaves that only one module raises live beside that module; they derive from a class above, so the exit
code is a property of the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from harness.bugcheckcodes import bugcheck_words

__all__ = [
    "ConnectionFailed",
    "DebuggerDied",
    "DriverBugcheck",
    "DriverFault",
    "DriverFileError",
    "DriverHang",
    "GrammarError",
    "GuestError",
    "InternalError",
    "LinesLost",
    "MachineError",
    "MachineFileError",
    "MissingImport",
    "ProcnotifyError",
    "ProjectFileError",
    "RigError",
    "ScenarioError",
    "SearchBudgetError",
    "TargetLost",
    "ToolchainError",
    "TraceError",
    "UsageError",
    "UserFileError",
]


class ProcnotifyError(Exception):
    """Base of all errors that are meant for the user: one line, and the way out.

    :param message: what happened, with the evidence (bytes, address, file) in it; no trailing full stop.
    :param hint: what to do about it; printed after the message.
    """

    exit_code: ClassVar[int]

    def __init__(self, message: str, *, hint: str = "") -> None:
        if type(self) is ProcnotifyError:
            raise TypeError("ProcnotifyError is abstract; raise one of its leaves")
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(ProcnotifyError):
    """The user's command line or input is wrong."""

    exit_code = 2


class UserFileError(UsageError):
    """A file that the user wrote is wrong: shown as ``file:line: message``."""

    documentation: ClassVar[str]
    """Where a whole file of this kind is shown."""

    def __init__(self, message: str, *, path: Path | str, line: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.others: tuple[UserFileError, ...] = ()
        """The mistakes of the same file behind this one."""

    @property
    def mistakes(self) -> tuple[UserFileError, ...]:
        """This one and the others of its file."""
        return (self, *self.others)

    def take(self, others: Iterable[UserFileError]) -> None:
        """Carry the other mistakes of the file; a traceback shows them as notes."""
        self.others = tuple(others)
        for other in self.others:
            self.add_note(str(other))

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {super().__str__()}"


class ScenarioError(UserFileError):
    """A scenario file is wrong."""

    documentation = "docs/scenarios.md shows a whole scenario"


class GrammarError(UserFileError):
    """A line grammar file is wrong."""

    documentation = "docs/lines.md shows whole line grammars"


class MachineFileError(UserFileError):
    """A machine file is wrong."""

    documentation = "docs/machines.md shows whole machine files"


class ProjectFileError(UserFileError):
    """The project's file is wrong."""

    documentation = "docs/project.md shows a whole file"


class DriverFileError(UsageError):
    """A file given as driver is not a PE, is for another machine type, or cannot run on this machine."""


class MissingImport(DriverFileError):
    """The driver used an import that the machine lacks: nothing is said about the driver.

    :param name: of the import, with its module where that is not the kernel (``fltmgr.sys!FltCreateFile``).
    """

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class RigError(ProcnotifyError):
    """The rig failed: no statement about the driver can be made."""

    exit_code = 3


class ConnectionFailed(RigError):
    """The debugger link could not be made."""


class MachineError(RigError):
    """The machine could not be started, stopped or brought to its clean state."""


class TargetLost(RigError):
    """The target or the link to it died after it had been up."""


class DebuggerDied(RigError):
    """The debugger ended or hung; carries the phase and what it printed last in the message."""


class GuestError(RigError):
    """The guest channel failed or refused a step."""


class LinesLost(RigError):
    """The driver's own counters prove that lines did not arrive."""


class TraceError(RigError):
    """A trace file is cut off, damaged or not a trace."""


class ToolchainError(RigError):
    """The compiler could not be run, or refused the sources."""


class InternalError(RigError):
    """An exception that nobody foresaw: a fault of this program or of the machine that it runs on."""


class SearchBudgetError(RigError):
    """The order search ran out of its budget: neither a pass nor a failure was proved."""


class DriverFault(ProcnotifyError):
    """The driver did something wrong."""

    exit_code = 1


class DriverHang(DriverFault):
    """A callback or entry point of the driver did not return; ``address`` is where it was executing.

    None where the target could not be broken into."""

    def __init__(self, message: str, *, address: int | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.address = address


class DriverBugcheck(DriverFault):
    """The target stopped with a bugcheck (bug check codes: Microsoft, Bug Check Code Reference)."""

    exit_code = 4

    def __init__(
        self,
        code: int,
        parameters: tuple[int, int, int, int],
        *,
        module: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(f"the target bugchecked: {bugcheck_words(code, parameters, module, offset)}")
        self.code = code
        self.parameters = parameters
        self.module = module
        self.offset = offset
