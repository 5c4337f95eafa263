"""Which lifecycle rules a recording can neither keep nor break."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.events import Driver, Event, ProcessCreate, WitnessName
from harness.order import Observation
from harness.order.observedrules import UnobservedRules
from harness.scenario import parse

ANY = parse(
    "scenario: any\nsummary: s\nsteps:\n  - launch: {image: notepad.exe}\n"
    "expect:\n  order: [process_create: any]\n",
    Path("any.yaml"),
)
CREATED = ProcessCreate(index=2, pid=4)
REGISTERED = Driver(index=0, function="DriverEntry", routine="PsSetCreateProcessNotifyRoutine", status=0)
TOTALS = Driver(index=1, function="DriverUnload", totals={"process_create": 1})
NEED_REGISTRATIONS = ("callbacks_only_while_registered", "driver_unregisters")
UNTOLD = "no line of this driver tells of a registration"
SEES_NO_LINES = "the witness is the target, which sees no lines"


@pytest.mark.parametrize(
    ("trace", "witness", "why"),
    [
        ([CREATED], "print", UNTOLD),
        ([TOTALS, CREATED], "print", UNTOLD),
        ([REGISTERED, CREATED], "print", None),
        ([CREATED], "target", SEES_NO_LINES),
    ],
)
def test_rules_about_registrations_need_lines_that_tell_of_them(
    trace: list[Event], witness: WitnessName, why: str | None
) -> None:
    observation = Observation.over(ANY, trace, witness=witness)
    found = {each.what: each.why for each in UnobservedRules(observation, frozenset()).unobserved()}
    assert {rule: found.get(rule) for rule in NEED_REGISTRATIONS} == dict.fromkeys(NEED_REGISTRATIONS, why)


def test_a_rule_that_is_off_is_not_told() -> None:
    observation = Observation.over(ANY, [CREATED])
    rules = UnobservedRules(observation, frozenset(NEED_REGISTRATIONS))
    assert not {each.what for each in rules.unobserved()} & set(NEED_REGISTRATIONS)
