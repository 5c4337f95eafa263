"""One driver tried without a scenario: what every driver meets in its first minute, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.events import Event
from harness.machines.virtual import VirtualMachine
from harness.runs.progress import EventCaptured, Progress
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.runs.witnesses import seen_calls
from harness.scenario import Scenario
from harness.scenario.load import parse

__all__ = ["MAX_PRINTS", "Trial", "TrialPrint", "exercise"]

MAX_PRINTS: Final = 5_000
"""Lines of the driver that are kept with their place; those beyond are counted."""
_HELPER: Final = "[actor]"
"""What the lines of the guest helper and its library begin with."""
_EXERCISE: Final = """\
scenario: try
summary: A program starts, gets a thread from outside, and ends; the driver goes, comes back, and goes first.
observe: true
steps:
  - load_driver
  - launch: {image: notepad.exe, as: notepad}
  - settle: {quiet: 300ms, max: 10s}
  - create_remote_thread: {process: $notepad}
  - create_thread: {}
  - load_library: probe-try.dll
  - terminate: $notepad
  - exit: 7
  - unload_driver
  - sleep: 500ms
  - load_driver
  - exit: 0
  - launch: {image: notepad.exe, as: survivor}
  - unload_driver
  - terminate: $survivor
  - sleep: 500ms
"""


def exercise() -> Scenario:
    """What a driver is tried with."""
    return parse(_EXERCISE, Path("try"))


@dataclass(frozen=True)
class TrialPrint:
    """A line that came from the driver, and where."""

    text: str
    call: Event | None
    """The callback that ran; None: none did."""
    after: int
    """How many callbacks had been entered before."""


@dataclass
class Trial:
    """Tries the driver of a rig on the virtual target in this process. Subscribe :meth:`see` to the rig
    before it is run."""

    prints: list[TrialPrint] = field(default_factory=list)
    beyond: int = 0
    """Lines that were not kept."""
    seen: tuple[Event, ...] = ()
    """The callback calls, as the target saw them."""
    undone: list[str] = field(default_factory=list)
    """Steps that did not happen, for the driver refused a process or ended it, and what was left out for
    that."""
    refused: UsageError | None = None
    """Why nothing is said about the driver: it needed what the target lacks."""
    _rig: Rig | None = None

    def run(self, rig: Rig, scenario: Scenario, seed: int) -> RunResult | None:
        """What came of it; None: see :attr:`refused`."""
        self._rig = rig = replace(rig, undone=self.undone.append)
        result: RunResult | None = None
        try:
            result = run_scenario(rig, scenario, seed=seed)
        except UsageError as error:
            self.refused = error
        calls = seen_calls(rig.machine, rig.driver.file)
        self.seen = () if calls is None else tuple(calls.events)
        return result

    def see(self, progress: Progress) -> None:
        """Take a progress value of the rig."""
        if not isinstance(progress, EventCaptured) or self._rig is None:
            return
        event, machine = progress.event, self._rig.machine
        if event.witness != "print" or not event.line or event.line.startswith(_HELPER):
            return
        if len(self.prints) >= MAX_PRINTS:
            self.beyond += 1
            return
        assert isinstance(machine, VirtualMachine)
        call = machine.call_under_way(self._rig.driver.file)
        self.prints.append(TrialPrint(event.line, call, machine.calls_entered))
