"""Which lifecycle rules a recording can neither keep nor break."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.events import Driver, Event, ImageLoad, ProcessCreate, ProcessExit, ThreadExit, WitnessName
from harness.order import Observation, check
from harness.order.observedrules import UnobservedRules
from harness.scenario import Scenario, parse

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


LOADED_TWICE = parse(
    "scenario: t\nsummary: t.\nobserve: true\nsteps:\n"
    "  - repeat: {times: 2, steps: [load_driver, unload_driver]}\n",
    Path("t.yaml"),
)
AGAIN = "the steps load the driver again, and nothing in the recording tells when"
ENDS_UNBORN: list[Event] = [
    ProcessCreate(index=0, pid=8),
    ThreadExit(index=1, pid=8, tid=9, context_tid=10),
]
"""The thread may have begun between two loads; in whose context it ended is another matter."""


@pytest.mark.parametrize(
    ("scenario", "fields", "witness", "broken"),
    [
        (LOADED_TWICE, {}, "print", {"thread_exit_context"}),
        (LOADED_TWICE, {"witness": "target"}, "target", {"thread_exit_context"}),
        (LOADED_TWICE, {"witness": "breakpoint"}, "breakpoint", {"thread_exit_context"}),
        (ANY, {}, "print", {"thread_exit_context", "thread_created_before_exit"}),
        # Another tool saw it, whose driver was loaded all the time.
        (
            LOADED_TWICE,
            {"witness": "monitor"},
            "monitor",
            {"thread_exit_context", "thread_created_before_exit"},
        ),
    ],
)
def test_what_happens_between_two_loads_that_nothing_tells_of_is_not_judged(
    scenario: Scenario, fields: dict[str, str], witness: WitnessName, broken: set[str]
) -> None:
    events = [msgspec.structs.replace(event, **fields) for event in ENDS_UNBORN]
    result = check(scenario, events, {}, Observation.over(scenario, events, witness=witness))
    assert {violation.rule for violation in result.violations} == broken
    said = {each.what for each in result.unobserved if each.why == AGAIN}
    assert ("thread_created_before_exit" in said) is ("thread_created_before_exit" not in broken)
    assert len(said) in (0, 7)


def test_lines_that_tell_of_a_load_are_judged_however_often_the_driver_is_loaded() -> None:
    for told in ([REGISTERED], [TOTALS], [ImageLoad(index=0, pid=4, image="a", seq=1)]):
        events = [msgspec.structs.replace(e, index=n) for n, e in enumerate([*told, *ENDS_UNBORN])]
        assert "thread_created_before_exit" in {
            violation.rule for violation in check(LOADED_TWICE, events, {}).violations
        }


@pytest.mark.parametrize(
    ("printed", "trace", "rule"),
    [
        (("process_create",), [CREATED, CREATED], "process_created_once"),
        (
            ("process_create", "image_load"),
            [ImageLoad(index=0, pid=4, image="a.dll"), CREATED],
            "process_created_first",
        ),
        (
            ("process_exit", "image_load"),
            [ProcessExit(index=0, pid=4), ImageLoad(index=1, pid=4, image="a.dll")],
            "nothing_after_process_exit",
        ),
    ],
)
def test_a_rule_needs_the_kinds_that_it_counts_with(
    printed: tuple[str, ...], trace: list[Event], rule: str
) -> None:
    given = Observation.over(ANY, trace)
    assert rule in {each.rule for each in check(ANY, trace, {}, given).violations}
    lacking = Observation.over(ANY, trace, printed=printed)
    result = check(ANY, trace, {}, lacking)
    assert not result.violations
    why = {each.what: each.why for each in result.unobserved}[rule]
    assert why.startswith("no form of the line grammar gives process_")
