"""What every machine offers: start, stop, and the two ways in (a KD connection and a guest channel)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from harness.callplaces import CalledPlaces, CallPlace
from harness.connection import Connection
from harness.events import Event
from harness.guests.base import Guest
from harness.machines.access import GuestAccess
from harness.printmasks import PrintMasks
from harness.scenario.model import Pattern
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.schedule import RecordingPolicy, Schedule
from harness.virtual.interfaces import DebugPort, ImageModule

__all__ = [
    "BootOptions",
    "CallFailingMachine",
    "DirectBoot",
    "DirectMachine",
    "DriverChecker",
    "LimitedMachine",
    "LoadedKernel",
    "Machine",
    "MachineStatus",
    "PreparedMachine",
    "ReachedMachine",
    "RecordingMachine",
    "SeenCalls",
    "WitnessingMachine",
]


@dataclass(frozen=True)
class BootOptions:
    """How to start the machine for one run."""

    seed: int
    connection: Connection | None
    """Where the debugger and the machine meet; None where there is no debugger."""
    profile: str | None = None
    """Which Windows the scenario needs the virtual target to be like; None: the machine's own choice."""
    policy: str | None = None
    """Who goes first in the virtual target where the order is open; None: ``default``."""
    processors: int | None = None
    """How many the virtual target has, 1 to 8; None: 2."""
    print_masks: PrintMasks = field(default_factory=dict)
    """Which debug prints pass, where that is not Windows' own choice."""
    choices: Mapping[int, int] | None = None
    """Of the schedule that is played back, whatever the policy
    (:attr:`harness.virtual.dispatcher.schedule.Schedule.choices`); None: the policy chooses."""
    scheduling: Callable[[Policy], RecordingPolicy] | None = None
    """Has the policy's answers recorded, in a machine in this process; None: nobody does."""
    tells_calls: bool = False
    """Drivers' calls that may fail are recorded, of a machine that is a :class:`CallFailingMachine`."""
    fails: CallPlace | None = None
    """The place whose first call is to fail; with ``tells_calls``."""


@dataclass(frozen=True)
class MachineStatus:
    """What the machine itself says, without the debugger's help."""

    state: str
    """``running``, ``halted`` (in the debugger), ``bugchecked``, ``hung``, ``ended`` (at an import that is
    missing) or ``off``; ``unknown``; of a virtual machine also the hypervisor's own word (``paused``)."""
    time: int | None = None
    """Target clock, 100 ns units since boot; None where the machine does not know."""
    detail: str = ""
    disturbed: bool = False
    """Since it was started it was reset, or stopped and let go on, as when it goes back to a snapshot: what
    ran in it may not run any more. ``detail`` says which."""


class Machine(Protocol):
    """The computer the driver runs in."""

    name: str
    deterministic: bool
    """True where the same seed gives the same events at the same target times."""

    def connection(self) -> Connection:
        """Where a debugger can meet the next boot, where nobody asks for a place: a port of the host that the
        target will dial, or the machine's own serial port."""

    def start(self, boot: BootOptions) -> None:
        """Boot. Over KDNET the target dials the debugger, which listens already; a serial port is open on
        return."""

    def guest(self) -> Guest:
        """The channel that runs commands in the started machine."""

    def status(self) -> MachineStatus:
        """Running or not, as the machine knows it."""

    def describe(self) -> dict[str, str]:
        """Facts for the trace header (type, profile, policy, print masks where they are set, version)."""

    def stop(self) -> None:
        """End it; the next ``start`` begins from the same clean state. Idempotent."""

    def close(self) -> None:
        """Free everything the machine holds (processes, sockets). Idempotent."""


@runtime_checkable
class PreparedMachine(Protocol):
    """The capability of a machine that takes its time to be ready, and must not meet a debugger before."""

    def prepare(self) -> None:
        """Bring it to the clean state that a run begins in: up, and its guest answers. Nobody listens on its
        connection meanwhile; ``start`` comes once somebody does.

        :raises RigError: it cannot be brought there.
        """


@runtime_checkable
class ReachedMachine(Machine, Protocol):
    """The capability to say how commands reach the guest, whether it is started or not."""

    @property
    def access(self) -> GuestAccess:
        """What its file says of the guest."""


@runtime_checkable
class LimitedMachine(Machine, Protocol):
    """The capability to run a system that does not report every event that scenarios speak of."""

    unreported: tuple[Pattern, ...]
    """Events of which none, some or all go unreported; promises about them are not judged."""


@runtime_checkable
class RecordingMachine(Protocol):
    """The capability to show what a run left outside of the trace."""

    def artifacts(self) -> Mapping[str, bytes]:
        """File name → content, of the last run, also when it is stopped: its console, what it said itself."""


class SeenCalls(NamedTuple):
    """What a machine saw of one boot."""

    events: Sequence[Event]
    """In the order in which the callbacks were entered, with the guest helper's markers among them; the
    indices count from 0."""
    beyond: int = 0
    """How many more calls there were, which it does not remember."""
    hidden: int = 0
    """How many prints of drivers its print filter kept back."""
    uncalled: Sequence[str] = ()
    """A sentence for each registration of callbacks that it never calls."""


@runtime_checkable
class WitnessingMachine(Protocol):
    """The capability to say which callbacks it called, whatever the driver prints of them."""

    def calls(self, driver: str) -> SeenCalls:
        """The callback calls of the boot that was started last, and that was not stopped yet: those of the
        driver with this file name.

        :raises TargetLost: the machine does not answer any more.
        """


class LoadedKernel(Protocol):
    """What a machine in this process says about its kernel at any time."""

    kernel_base: int

    @property
    def modules(self) -> Sequence[ImageModule]:
        """Its loaded images, the kernel's own first."""

    @property
    def caller(self) -> int:
        """Where the code that runs has called the kernel; only meaningful while it is inside such a call."""


class DirectBoot(NamedTuple):
    """A machine that has booted in this process."""

    guest: Guest
    kernel: LoadedKernel
    facts: Mapping[str, str]
    """Of the target itself, as the header of a trace has them."""
    schedule: Callable[[], Schedule] | None = None
    """What its policy has answered by now, where that is recorded."""


@runtime_checkable
class DirectMachine(Protocol):
    """The capability to run in this process without a debugger."""

    def start_direct(self, boot: BootOptions, port: DebugPort) -> DirectBoot:
        """Boot. What the kernel would tell a debugger it tells ``port``, in the middle of what the guest is
        asked to do; ``port`` may raise, which ends that."""


@runtime_checkable
class CallFailingMachine(DirectMachine, Protocol):
    """The capability to let a driver's call of the kernel fail."""

    def called_places(self) -> CalledPlaces:
        """Where drivers called what may fail since the last boot, which was told to record that."""


@runtime_checkable
class DriverChecker(Protocol):
    """The capability to tell from a driver's file alone what this machine cannot do for it."""

    def check_driver(self, image: bytes) -> tuple[str, ...]:
        """The imports that this machine lacks, before anything is started; see
        :func:`harness.virtual.kernel.imports.missing_names`.

        :raises DriverFileError: it cannot load the driver, with the reason."""
