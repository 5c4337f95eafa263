"""A scenario's steps, done one after the other in a live guest, and the names that they bind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.actions import ActionField, FieldType
from harness.errors import DriverFault, GuestError, LinesLost
from harness.events import Event, Marker
from harness.guests.base import ActionResult, Guest, SettlingGuest
from harness.runs.answers import note_of_answer, require_answer
from harness.runs.livetarget import Caller
from harness.runs.progress import StepStarted, Subscriber
from harness.runs.watch import Watch
from harness.scenario.model import (
    ActionValue,
    ActorStep,
    LoadDriver,
    RepeatSteps,
    Scenario,
    Settle,
    Step,
    UnloadDriver,
    Variable,
    round_key,
    seconds,
)
from harness.symbols import DriverSymbols
from harness.toolchain.windows_errors import nt_failed, ntstatus_words

__all__ = [
    "STAYS_LOADED",
    "GuestDriver",
    "Markers",
    "NoUnloadRoutine",
    "StepRunner",
    "argv_of",
    "describe",
    "loads_driver_itself",
    "start_driver",
    "start_other_driver",
    "stop_driver",
    "stop_other_driver",
    "store_driver",
]

STAYS_LOADED: Final = "has no unload routine: it was not unloaded, nor loaded again"
"""Said of a driver of which an unload was only tried."""
_NO_UNLOAD_ROUTINE: Final = 0xC000_0010
"""STATUS_INVALID_DEVICE_REQUEST."""
_LOAD_HINTS = {
    0xC000_0022: "PsSetCreateProcessNotifyRoutineEx and Ex2 want a driver linked with /INTEGRITYCHECK",
    0xC000_0034: "a minifilter wants the Instances key, with an altitude, that its INF writes",
    0xC000_0035: "something of that name is still there; does the driver's unload delete what it created?",
    0xC000_010E: "unload the driver before it is loaded again",
    0xC000_0428: "let the target take test signatures: bcdedit /set testsigning on",
}
"""The usual reasons for some statuses of loading a driver."""


@dataclass(frozen=True)
class GuestDriver:
    """A driver for the guest: the one under test, or one that is loaded beside it."""

    service: str
    """Name of its kernel service: the file's name without ``.sys``."""
    file: str
    """File name to store it under in the guest."""
    image: bytes
    symbols: DriverSymbols | None = None
    missing_imports: tuple[str, ...] = ()
    """What it imports and the machine lacks; only using one of them ends a run."""


@dataclass
class Markers:
    """Which actions the print stream has seen end."""

    ended: set[int] = field(default_factory=set)

    def see(self, event: Event) -> None:
        """Take note of one event."""
        if isinstance(event, Marker) and event.phase == "end":
            self.ended.add(event.step)


class NoUnloadRoutine(DriverFault):
    """The driver cannot be unloaded, for it has no routine for that."""


class StepRunner:
    """Does a scenario's steps.

    :param place: puts where a step stands before a message, ``scenarios/a.yaml:7``.
    :param markers: fed with every event that is recorded.
    :param action_seconds: deadline of one action, besides what it sleeps; a target that is silent or prints
        without end is noticed long before.
    :param undone: see :class:`~harness.runs.rig.Rig`.
    """

    def __init__(
        self,
        scenario: Scenario,
        caller: Caller,
        guest: Guest,
        driver: GuestDriver,
        markers: Markers,
        subscribers: tuple[Subscriber, ...] = (),
        action_seconds: float = 2 * Watch.printing,
        undone: Callable[[str], None] | None = None,
    ) -> None:
        self._undone = undone
        self._stays_loaded = False
        self._scenario = scenario
        self._caller = caller
        self._guest = guest
        self._driver = driver
        self._markers = markers
        self._subscribers = subscribers
        self._action_seconds = action_seconds
        self._repeated = {name for name, rounds in scenario.names().items() if rounds}
        self._rounds: Counter[str] = Counter()
        self._latest: dict[str, int] = {}
        self._action = 0
        self._driver_path: str | None = None
        self.bindings: dict[str, int] = {}
        """What the steps done so far have bound; see :mod:`harness.scenario.model` for the keys."""
        self.notes: list[str] = []
        """What the steps done so far left open, a line each."""
        self._open_devices: list[int] = []
        self.paths: dict[str, str] = {}
        """Where files that were put in the guest lie: name → full path. A step with such a name means that
        file, whichever process looks for it."""

    def run(self) -> None:
        """All steps, in their order."""
        for step in self._scenario.steps:
            self._do(step)

    def load_driver(self, place: str = "") -> None:
        """Put the driver in the guest, the first time, and start it; see :func:`start_driver`."""
        if self._driver_path is None:
            self._driver_path = store_driver(self._caller, self._guest, self._driver)
        start_driver(self._caller, self._guest, self._driver, self._driver_path, place=place)

    def unload_driver(self, place: str = "") -> None:
        """Stop the driver; see :func:`stop_driver`."""
        stop_driver(self._caller, self._guest, self._driver, place=place)

    def close_devices(self) -> None:
        """Close what the steps have left open: no driver can be unloaded before."""
        for process in reversed(self._open_devices):
            self._act(["close-device", str(process)], "closing a device that the steps left open", 0)
        self._open_devices.clear()

    def synchronise(self) -> None:
        """Make sure that every line printed so far has arrived, by an action that does nothing but end."""
        self._act(["sleep", "0"], "the closing action", 0)

    def _do(self, step: Step) -> None:
        if isinstance(step, RepeatSteps):
            for _ in range(step.times):
                for inner in step.steps:
                    self._do(inner)
            return
        text = describe(step)
        for subscriber in self._subscribers:
            subscriber(StepStarted(text, step.line))
        place = f"{self._scenario.path}:{step.line}: "
        match step:
            case LoadDriver() | UnloadDriver() if self._stays_loaded:
                pass
            case LoadDriver():
                self.load_driver(place)
            case UnloadDriver() if self._undone is not None:
                self._try_to_unload(place, self._undone)
            case UnloadDriver():
                self.unload_driver(place)
            case Settle(quiet=quiet, maximum=maximum):
                self._settle(f"step '{text}'", seconds(quiet), seconds(maximum))
            case ActorStep() if self._undone is not None:
                self._try_step(step, text, self._undone)
            case ActorStep():
                self._act_step(step, text, place)

    def _settle(self, what: str, quiet: float, maximum: float) -> None:
        guest = self._guest
        if isinstance(guest, SettlingGuest):
            self._caller.call(
                what, lambda: guest.settle(quiet=quiet, maximum=maximum), quiet=quiet, lasting=maximum
            )
        else:
            self._caller.await_quiet(what, quiet=quiet, maximum=maximum)

    def _try_to_unload(self, place: str, undone: Callable[[str], None]) -> None:
        """One that has no unload routine, as Windows allows, is let be."""
        try:
            self.unload_driver(place)
        except NoUnloadRoutine:
            self._stays_loaded = True
            undone(f"{self._driver.file} {STAYS_LOADED}")

    def _try_step(self, step: ActorStep, text: str, undone: Callable[[str], None]) -> None:
        """Do it unless it needs what an earlier one would have made."""
        for value in step.values:
            if isinstance(value, Variable) and value.name not in self._latest:
                undone(f"step '{text}' was left out: there is no ${value.name}")
                return
        try:
            self._act_step(step, text, "")
        except GuestError as error:
            undone(error.message)

    def _act_step(self, step: ActorStep, text: str, place: str) -> None:
        sleeping = seconds(step.duration)
        try:
            result = self._act(argv_of(step, self._latest, self.paths), f"step '{text}'", sleeping)
        except GuestError as error:
            raise GuestError(
                f"{place}step '{text}' did not happen: {error.message}", hint=error.hint
            ) from None
        require_answer(step, result, f"{place}step '{text}'")
        note = note_of_answer(step, result, f"{place}step '{text}'")
        if note and note not in self.notes:
            self.notes.append(note)
        self._note_devices(step, result)
        if "agent" not in self._latest:
            self._latest["agent"] = self.bindings["agent"] = result.pid
        if step.by is not None:
            self._bind(step.by, result.pid)
        for name, made in step.names():
            self._bind(name, _made(result, made, place))

    def _note_devices(self, step: ActorStep, result: ActionResult) -> None:
        """Keep account of the processes that have devices open."""
        if step.action.key == "open_device" and isinstance(pid := result.values.get("child_pid"), int):
            self._open_devices.append(pid)
        elif step.action.key in ("close_device", "terminate"):
            (value,) = step.values_of(FieldType.DEVICE, FieldType.PROCESS)
            process = self._latest[value.name] if isinstance(value, Variable) else value
            self._open_devices = [pid for pid in self._open_devices if pid != process]

    def _act(self, argv: list[str], what: str, sleeping: float) -> ActionResult:
        self._action += 1
        action = self._action
        result = self._caller.call(
            what,
            lambda: self._guest.act(argv, step=action, timeout=self._action_seconds + sleeping),
            quiet=sleeping,
        )
        if not self._caller.wait_for(what, lambda: action in self._markers.ended):
            raise LinesLost(f"{what} was done, but the debugger never heard its end marker (id={action})")
        return result

    def _bind(self, name: str, value: int) -> None:
        self._latest[name] = value
        if name in self._repeated:
            self._rounds[name] += 1
            name = round_key(name, self._rounds[name])
        self.bindings[name] = value


def store_driver(caller: Caller, guest: Guest, driver: GuestDriver) -> str:
    """Put the driver in the guest; its path there."""
    return caller.call("storing the driver", lambda: guest.put(driver.file, driver.image))


def start_driver(caller: Caller, guest: Guest, driver: GuestDriver, path: str, *, place: str = "") -> None:
    """Start a driver that is in the guest. A DriverEntry that fails is the driver's fault.

    :param place: put before a message.
    """
    status = caller.call("loading the driver", lambda: guest.load_driver(driver.service, path))
    if nt_failed(status):
        raise DriverFault(
            f"{place}{driver.file} did not load: {ntstatus_words(status)}",
            hint=_LOAD_HINTS.get(status & 0xFFFF_FFFF, ""),
        )


def stop_driver(caller: Caller, guest: Guest, driver: GuestDriver, *, place: str = "") -> None:
    """Stop a driver. One that cannot be unloaded is at fault.

    :param place: put before a message.
    """
    status = caller.call("unloading the driver", lambda: guest.unload_driver(driver.service))
    if nt_failed(status):
        fault = NoUnloadRoutine if status & 0xFFFF_FFFF == _NO_UNLOAD_ROUTINE else DriverFault
        raise fault(
            f"{place}{driver.file} did not unload: {ntstatus_words(status)}",
            hint="a driver without an unload routine cannot be stopped",
        )


def start_other_driver(caller: Caller, guest: Guest, driver: GuestDriver) -> None:
    """Put a driver that is not under test in the guest and start it; a failure is the rig's."""
    path = store_driver(caller, guest, driver)
    status = caller.call(f"loading {driver.file}", lambda: guest.load_driver(driver.service, path))
    if nt_failed(status):
        raise GuestError(
            f"{driver.file}, which is not under test, did not load: {ntstatus_words(status)}",
            hint=_LOAD_HINTS.get(status & 0xFFFF_FFFF, ""),
        )


def stop_other_driver(caller: Caller, guest: Guest, driver: GuestDriver) -> None:
    """Stop a driver that is not under test; a failure is the rig's."""
    status = caller.call(f"unloading {driver.file}", lambda: guest.unload_driver(driver.service))
    if nt_failed(status):
        raise GuestError(f"{driver.file}, which is not under test, did not unload: {ntstatus_words(status)}")


def loads_driver_itself(steps: tuple[Step, ...]) -> bool:
    """Whether the scenario says when to load or unload the driver."""
    return any(
        loads_driver_itself(step.steps)
        if isinstance(step, RepeatSteps)
        else isinstance(step, LoadDriver | UnloadDriver)
        for step in steps
    )


def argv_of(step: ActorStep, bound: dict[str, int], paths: dict[str, str]) -> list[str]:
    """The guest helper's command line for a step, without ``--id``.

    :param bound: name → value of what earlier steps have bound; the scenario's reader made sure that every
        variable a step uses is bound before it.
    :param paths: full guest paths of file names that need one.
    """
    words = [step.action.word]
    for what, value in zip(step.action.fields, step.values, strict=True):
        match what.type, value:
            case FieldType.ARGUMENTS, tuple():
                words += value
            case ((FieldType.PROCESS | FieldType.DEVICE), Variable(name=name)):
                words.append(str(bound[name]))
            case ((FieldType.PROGRAM | FieldType.LIBRARY), str()):
                words.append(paths.get(value, value))
            case FieldType.FILE, str():
                words.append(paths[Path(value).name])
            case FieldType.DURATION, int():
                words.append(str(round(seconds(value) * 1000)))
            case _:
                words.append(str(value))
    return words


def describe(step: Step) -> str:
    """A step for people, close to how the scenario writes it."""
    match step:
        case ActorStep(action=action):
            spoken = (
                _spoken(what, value, main=what.name == action.main)
                for what, value in zip(action.fields, step.values, strict=True)
            )
            return " ".join([action.key, *(words for words in spoken if words)])
        case Settle(quiet=quiet):
            return f"settle {seconds(quiet):g}s"
        case LoadDriver():
            return "load_driver"
        case UnloadDriver():
            return "unload_driver"
        case _:
            return type(step).__name__


def _spoken(what: ActionField, value: ActionValue, *, main: bool) -> str:
    if what.spoken is None or (not main and value == what.default):
        return ""
    match what.type, value:
        case FieldType.ARGUMENTS, tuple():
            text = " ".join(value)
        case ((FieldType.PROCESS | FieldType.DEVICE), Variable(name=name)):
            text = f"${name}"
        case FieldType.FILE, str():
            text = Path(value).name
        case FieldType.CONTROL_CODE, int():
            text = f"0x{value:08x}"
        case FieldType.DURATION, int():
            text = f"{seconds(value):g}s"
        case _:
            text = str(value)
    return what.spoken.format(text) if text else ""


def _made(result: ActionResult, key: str, place: str) -> int:
    value = result.values.get(key)
    if not isinstance(value, int):
        raise GuestError(f"{place}the guest helper's answer to {result.action!r} has no number {key!r}")
    return value
