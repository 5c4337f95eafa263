"""The boots of a target that one trace holds: each is checked by itself, and they are judged together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from harness.events import Event
from harness.order import CheckResult, Failure, Unjudged, Witness
from harness.order.result import Place
from harness.scenario import Scenario
from harness.scenario.model import Expectation
from harness.verdict.survey import MAX_BOOTS, Boot

__all__ = ["BootEvents", "over_boots"]


class BootEvents:
    """The events of one boot, to be iterated as often as wanted."""

    def __init__(self, events: Iterable[Event], boot: Boot) -> None:
        self._events = events
        self._boot = boot

    def __iter__(self) -> Iterator[Event]:
        return islice(self._events, self._boot.first, self._boot.first + self._boot.events)


def over_boots(scenario: Scenario, results: Sequence[tuple[str, CheckResult]], *, more: bool) -> CheckResult:
    """What the results of several boots prove together.

    Lifecycle rules, and what is forbidden beside an order or after its end, must be kept in every boot; an
    order must be found in one.

    :param results: what each boot is called, and the result of it by itself.
    :param more: there are more boots, which were not checked.
    """
    named = [_named(boot, result) for boot, result in results]
    witnesses: list[Witness] = []
    failures = [failure for result in named for failure in result.failures if failure.violation is not None]
    unjudged: list[Unjudged] = []
    for expectation in scenario.expect:
        match _of(expectation, named):
            case Witness() as witness:
                witnesses.append(witness)
            case Failure(waited=True) if more:
                pass  # it may come in a boot that was not checked
            case Failure() as failure:
                failures.append(failure)
            case Unjudged() as said:
                unjudged.append(said)
    if more:
        place = Place(scenario.path, 1)
        reason = f"the trace is of more than {MAX_BOOTS} boots of the target"
        unjudged.append(Unjudged(reason, place, hint="name a part: --from, --to", ambiguous=True))
    return CheckResult(
        witnesses=tuple(witnesses),
        failures=tuple(failures),
        unjudged=tuple(unjudged),
        violations=tuple(violation for result in named for violation in result.violations),
        events=sum(result.events for result in named),
        unobserved=named[0].unobserved if named else (),
        rules=_rules(named),
        skipped=bool(named) and all(result.skipped for result in named),
    )


def _of(expectation: Expectation, results: Sequence[CheckResult]) -> Witness | Failure | Unjudged | None:
    """What all boots together prove of one expectation; None where none says anything."""
    failures = [said for result in results for said in result.failures if said.expectation is expectation]
    unjudged = [said for result in results for said in result.unjudged if said.expectation is expectation]
    witnesses = [said for result in results for said in result.witnesses if said.expectation is expectation]
    broken: list[Failure | Unjudged] = [failure for failure in failures if not failure.waited]
    if broken and witnesses and any(said.expectation is expectation for said in results[0].unobserved):
        broken = [_uncertain(failure) for failure in failures if not failure.waited]
    ambiguous = [said for said in unjudged if said.ambiguous]
    furthest = sorted(failures, key=lambda failure: failure.found or 0, reverse=True)
    said: list[Witness | Failure | Unjudged] = [*broken, *ambiguous, *witnesses, *furthest, *unjudged]
    return said[0] if said else None


def _uncertain(failure: Failure) -> Unjudged:
    """What broke an order of which something could not be judged may have come in a boot that does not keep
    it, where it is allowed."""
    assert failure.place is not None
    reason = f"{failure.reason}; the order that this is forbidden with is not judged as a whole"
    return Unjudged(reason, failure.place, hint="judge each boot by itself: --from, --to")


def _rules(results: Sequence[CheckResult]) -> int:
    """How many lifecycle rules held in every boot."""
    if not results:
        return 0
    first = results[0]
    held = first.rules + len({violation.rule for violation in first.violations})
    return held - len({violation.rule for result in results for violation in result.violations})


def _named(boot: str, result: CheckResult) -> CheckResult:
    """The result with every reason after the boot that it is of."""
    return replace(
        result,
        failures=tuple(replace(said, reason=f"{boot}: {said.reason}") for said in result.failures),
        unjudged=tuple(replace(said, reason=f"{boot}: {said.reason}") for said in result.unjudged),
    )
