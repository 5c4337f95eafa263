"""The fault matrix: each call of a driver that may fail fails once, and what came of that.

A first run, in which nothing fails, finds the places where the driver under test calls what may fail; then
there is a run for each of them, with the same seed, in which the first call there fails. Judged is what the
driver does to the target then: a bugcheck, a hang, a standing rule that is broken. That it goes on without
what it did not get, or is not loaded, is its good right; what its lines and a scenario's order say is not
looked at.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.callplaces import CallPlace
from harness.errors import DriverBugcheck, DriverFault, DriverHang, MissingImport, ProcnotifyError, UsageError
from harness.events import RuleBroken
from harness.machines import CallFailingMachine
from harness.outcome import Outcome, worst
from harness.runs.direct import DirectCapture
from harness.runs.rig import Rig
from harness.runs.sources import symbols_of, with_sources
from harness.scenario import Scenario
from harness.symbols import with_source

__all__ = ["FailedCall", "FaultMatrix", "Happened", "fail_each_call"]


class Happened(enum.Enum):
    """What came of a call that failed."""

    NOTHING = "went on"
    """The driver did without what it did not get."""
    NOT_LOADED = "was not loaded"
    """It said that it cannot be loaded, or a step came to nothing because of it."""
    NOT_CALLED = "did not get there"
    """The call was not made, although the run without a failure made it."""
    NOT_JUDGED = "not judged"
    """The rig failed, or the driver used what the target lacks."""
    RULE = "breaks a rule"
    HANG = "hangs"
    BUGCHECK = "bugchecks"


_OUTCOMES: Final = {
    Happened.NOT_CALLED: Outcome.RIG,
    Happened.NOT_JUDGED: Outcome.RIG,
    Happened.RULE: Outcome.BROKEN,
    Happened.HANG: Outcome.BROKEN,
    Happened.BUGCHECK: Outcome.BUGCHECK,
}


@dataclass(frozen=True)
class FailedCall:
    """One run."""

    place: CallPlace | None
    """Where the first call failed; None: none did."""
    site: str
    """See :attr:`~harness.callplaces.CallPlace.site`, with function and line where they are known."""
    result: int | None
    """What the call returned."""
    happened: Happened
    followed: tuple[str, ...]
    """What is to be said of that, a line each."""

    @property
    def outcome(self) -> Outcome:
        """How far that is the driver's fault: not to be loaded is one where nothing failed."""
        if self.place is None and self.happened is Happened.NOT_LOADED:
            return Outcome.BROKEN
        return _OUTCOMES.get(self.happened, Outcome.PASSED)


@dataclass(frozen=True)
class FaultMatrix:
    """All runs of one scenario."""

    scenario: str
    seed: int
    unharmed: FailedCall
    """The run in which no call failed. Where it is not faultless there are no others."""
    calls: tuple[FailedCall, ...]
    beyond: int
    """Calls at further places than those that are kept; none of them failed."""
    interrupted: bool = False
    """Ctrl-C came before the last place."""

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for all runs."""
        return worst((self.unharmed.outcome, *(call.outcome for call in self.calls)))


def fail_each_call(
    rig: Rig,
    scenario: Scenario,
    seed: int,
    *,
    begins: Callable[[int, int, CallPlace], None] = lambda number, of, place: None,
) -> FaultMatrix:
    """Run ``scenario`` once, and once more for each place of the driver under test.

    :param rig: without a debugger.
    :param begins: told of each failing run: its number from 1, how many there are, and what fails.
    :raises UsageError: the machine cannot let calls fail, or the input of the run without a failure is wrong.
    """
    if not isinstance(rig.machine, CallFailingMachine):
        raise UsageError(f"the machine {rig.machine.name} cannot let calls of a driver fail")
    unharmed = _run(rig, scenario, seed, None)
    called = rig.machine.called_places()
    places = [place for place in called.places if place.driver.lower() == rig.driver.file.lower()]
    if unharmed.outcome is not Outcome.PASSED:
        return FaultMatrix(scenario.name, seed, unharmed, (), 0)
    calls: list[FailedCall] = []
    try:
        for number, place in enumerate(places, start=1):
            begins(number, len(places), place)
            calls.append(_run(rig, scenario, seed, place))
    except KeyboardInterrupt:
        return FaultMatrix(scenario.name, seed, unharmed, tuple(calls), called.beyond, interrupted=True)
    return FaultMatrix(scenario.name, seed, unharmed, tuple(calls), called.beyond)


def _run(rig: Rig, scenario: Scenario, seed: int, place: CallPlace | None) -> FailedCall:
    capture = DirectCapture(replace(rig, tells_calls=True, fails=place), scenario, seed)
    ended: ProcnotifyError | None = None
    try:
        capture.run()
    except (DriverHang, MissingImport) as error:
        ended = with_sources(error, rig.drivers)
    except ProcnotifyError as error:
        ended = error
    if place is None and isinstance(ended, UsageError):
        raise ended
    assert isinstance(rig.machine, CallFailingMachine)
    failed = rig.machine.called_places().failed
    broken = [event for event in capture.events if isinstance(event, RuleBroken)]
    rules = [event for event in broken if event.rule not in scenario.rules_off]
    if place is not None and isinstance(ended, DriverFault):
        # Not to be loaded is the proper answer to a callback that is refused.
        rules = [event for event in rules if event.rule != "CallbackRefused"]
    happened, followed = _judged(place, ended, rules, failed)
    site = "" if place is None else with_source(place.site, symbols_of(rig.drivers))
    return FailedCall(place, site, failed, happened, followed)


def _judged(
    place: CallPlace | None, ended: ProcnotifyError | None, rules: Sequence[RuleBroken], failed: int | None
) -> tuple[Happened, tuple[str, ...]]:
    told = [f"{event.rule}: {event.message}" for event in rules]
    if ended is not None:
        told.insert(0, ended.message)
    if isinstance(ended, DriverBugcheck):
        return Happened.BUGCHECK, tuple(told)
    if isinstance(ended, DriverHang):
        return Happened.HANG, tuple(told)
    if rules:
        return Happened.RULE, tuple(told)
    if ended is not None and not isinstance(ended, DriverFault):
        return Happened.NOT_JUDGED, tuple(told)
    if place is not None and failed is None:
        return Happened.NOT_CALLED, ()
    return (Happened.NOTHING if ended is None else Happened.NOT_LOADED), tuple(told)
