"""The vocabulary: one frozen record a callback report.

Field names are those of Microsoft's documentation of ``PsSetCreateProcessNotifyRoutine``,
``PsSetCreateThreadNotifyRoutine`` and ``PsSetLoadImageNotifyRoutine``, in snake_case. The records are
:mod:`msgspec` structs: encoded to JSON they carry their class as ``kind`` and leave out what is not known.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = [
    "KINDS",
    "RUN_WITNESSES",
    "Bugcheck",
    "Call",
    "Disconnect",
    "Driver",
    "Event",
    "ImageLoad",
    "Marker",
    "Print",
    "ProcessCreate",
    "ProcessExit",
    "Reboot",
    "RuleBroken",
    "Stop",
    "ThreadCreate",
    "ThreadExit",
    "Totals",
    "WitnessName",
    "kind_of",
]


WitnessName: TypeAlias = Literal["print", "target", "breakpoint", "monitor"]
"""Who saw an event: ``print``, a line that was printed; ``target``, the virtual kernel, which called the
callback; ``breakpoint``, a debugger that stopped there; ``monitor``, another tool (Process Monitor, Sysmon,
the kernel's own event provider), whose recording was imported."""
RUN_WITNESSES: tuple[WitnessName, ...] = ("print", "target", "breakpoint")
"""Those whom a run can ask."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a witness other than the driver's lines knows of a callback's call besides its arguments."""

    driver: str
    """File name of the driver whose routine was called."""
    routine: int
    """Where the routine lies in the driver's image, in bytes from its base; its address where the driver is
    not loaded any more."""
    irql: int | None = None
    """At which it was entered: 0 PASSIVE_LEVEL, 1 APC_LEVEL; None: not known."""
    left: int | None = None
    """Target clock when it had returned, as the event's ``time`` is when it was entered; None: it had not
    when the run ended, or the witness does not see that."""
    answer: int | None = None
    """Of a process's creation that was told to an Ex routine: CreationStatus, an NTSTATUS, as the routine
    left it."""


class _Common(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every event has."""

    index: int
    """Capture order, from 0, without gaps."""
    line: str = ""
    """The text as printed, without the line end; a split line joined."""
    time: int | None = None
    """Target clock in 100 ns units (interrupt time, since boot; of another tool's recording see
    docs/recordings.md); None when the line carries none."""
    cpu: int | None = None
    """Processor that ran the callback."""
    seq: int | None = None
    """The driver's own counter, taken at callback entry, from 1."""
    host_time: float | None = None
    """Host clock (seconds since the epoch) at reception; never written for a virtual target."""
    witness: WitnessName = "print"
    """Who saw it. What the target itself said, a bugcheck for example, is the same for every witness."""
    call: Call | None = None
    """Of a callback that was not seen by its line: the call."""


class ProcessCreate(_Common, frozen=True, tag="process_create"):
    """A process was created (``Create`` = TRUE)."""

    pid: int
    parent_pid: int | None = None
    creating_pid: int | None = None
    """Process of the thread in whose context the callback ran; need not be the parent."""
    creating_tid: int | None = None
    image: str | None = None
    """Name or path of its program, where the driver prints one."""


class ProcessExit(_Common, frozen=True, tag="process_exit"):
    """A process ended; reported in the context of its last thread."""

    pid: int
    context_pid: int | None = None
    context_tid: int | None = None
    image: str | None = None
    """Name or path of its program, where the driver prints one."""


class ThreadCreate(_Common, frozen=True, tag="thread_create"):
    """A thread was created; reported in the context of the thread that created it."""

    pid: int
    tid: int
    creating_pid: int | None = None
    creating_tid: int | None = None


class ThreadExit(_Common, frozen=True, tag="thread_exit"):
    """A thread ended; reported in its own context."""

    pid: int
    tid: int
    context_pid: int | None = None
    context_tid: int | None = None


class ImageLoad(_Common, frozen=True, tag="image_load"):
    """An image was mapped; ``pid`` 0 is a driver."""

    pid: int | None = None
    image: str | None = ""
    """Name or NT path as printed; None where the driver printed ``(null)``."""
    base: int | None = None
    size: int | None = None
    context_pid: int | None = None
    context_tid: int | None = None


Totals: TypeAlias = dict[str, int]
"""How many events of each kind the driver says it reported, printed at unload: kind → count, in the order of
the line. A driver may count more kinds than are known here, or fewer."""


class Driver(_Common, frozen=True, tag="driver"):
    """A line about the driver itself: a registration, a removal, or the totals at unload."""

    function: str
    """The driver's function that printed, for example ``DriverEntry``."""
    routine: str | None = None
    """The kernel routine it called, for example ``PsSetLoadImageNotifyRoutine``; None for totals."""
    status: int | None = None
    """NTSTATUS of that call, 0 for success; None for totals."""
    totals: Totals | None = None


class Marker(_Common, frozen=True, tag="marker"):
    """The guest helper says that an action begins or ended."""

    action: str
    phase: Literal["begin", "end"]
    step: int
    """The number the harness gave the action (``--id``)."""
    pid: int
    """The helper's own PID."""
    status: int | None = None
    """At the end: 0 or the Win32 error of the action."""


class Print(_Common, frozen=True, tag="print"):
    """Any other line of debugger output."""


class Bugcheck(_Common, frozen=True, tag="bugcheck"):
    """The target stopped; see Microsoft's Bug Check Code Reference."""

    code: int
    parameters: tuple[int, int, int, int]
    module: str | None = None
    """Image that holds the faulting address, where the debugger could tell."""
    offset: int | None = None
    """Of the instruction at fault in that image; None where the bugcheck does not tell it."""


class Stop(_Common, frozen=True, tag="stop"):
    """The target halted in the debugger: an exception, or a stop that somebody asked for."""

    code: int
    """The exception's NTSTATUS."""
    address: int
    """Where, a virtual address."""
    first_chance: bool
    """False: no handler took the exception, so the target is about to bugcheck."""
    module: str | None = None
    """Image that holds the address, where the debugger could tell."""


class RuleBroken(_Common, frozen=True, tag="rule_broken"):
    """The virtual target noticed that a driver broke a standing rule; told at the end of the capture."""

    rule: str
    """Its name, a key of :data:`harness.standingrules.STANDING_RULES`."""
    module: str
    """File name of the driver."""
    message: str
    """What it did, and where."""


class Reboot(_Common, frozen=True, tag="reboot"):
    """The target began anew: what comes after it is another boot's, with new numbers, PIDs and clock."""


class Disconnect(_Common, frozen=True, tag="disconnect"):
    """The debugger's connection to the target was closed; what comes after this was heard once it was back.

    What the target said in between is missing, as far as it did not wait.
    """


Event: TypeAlias = (
    ProcessCreate
    | ProcessExit
    | ThreadCreate
    | ThreadExit
    | ImageLoad
    | Driver
    | Marker
    | Print
    | Bugcheck
    | Stop
    | RuleBroken
    | Reboot
    | Disconnect
)

KINDS: dict[str, type[Event]] = {
    "process_create": ProcessCreate,
    "process_exit": ProcessExit,
    "thread_create": ThreadCreate,
    "thread_exit": ThreadExit,
    "image_load": ImageLoad,
    "driver": Driver,
    "marker": Marker,
    "print": Print,
    "bugcheck": Bugcheck,
    "stop": Stop,
    "rule_broken": RuleBroken,
    "reboot": Reboot,
    "disconnect": Disconnect,
}
"""Every kind by the name scenarios and trace files use."""


def kind_of(event: Event) -> str:
    """The kind's name, as in :data:`KINDS`."""
    return str(type(event).__struct_config__.tag)
