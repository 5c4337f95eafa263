"""Kinds of events of which a recording does not tell when they came: no fault by their place, no proof."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import msgspec
import pytest
from random_orders import Orders, events
from reference import holds
from scenarios_of import HEAD, OFF

from harness.errors import ScenarioError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit
from harness.order import CheckResult, Observation, check
from harness.order.judgeable import judgeable
from harness.order.promises import count_promises
from harness.scenario import parse

CASES = int(os.environ.get("PROCNOTIFY_ORDER_CASES", "1200")) // 20


def judged(expect: str, trace: list[Event], kind: str = "image_load") -> CheckResult:
    scenario = parse(HEAD % OFF + "  " + expect + "\n", Path("t.yaml"))
    observation = Observation(scenario, unordered=(kind,))
    observation.feed(trace)
    return check(scenario, trace, {}, observation)


def images(*names: str) -> list[Event]:
    made: list[Event] = []
    for index, name in enumerate(names):
        if name == "exit":
            made.append(ProcessExit(index=index, pid=1))
        elif name == "create":
            made.append(ProcessCreate(index=index, pid=1))
        else:
            made.append(ImageLoad(index=index, pid=1, image=name))
    return made


A, B, C = ({"image_load": {"image": name}} for name in ("a.dll", "b.dll", "c.dll"))
CREATE, EXIT = {"process_create": "any"}, {"process_exit": "any"}
TABLE = [
    ([CREATE, A, B, EXIT], ["create", "b.dll", "a.dll", "exit"], True),
    ([CREATE, A, B, EXIT], ["b.dll", "create", "a.dll", "exit"], True),
    ([CREATE, A, B, EXIT], ["create", "b.dll", "exit", "a.dll"], True),
    ([CREATE, A, B, EXIT], ["exit", "b.dll", "create", "a.dll"], False),
    ([CREATE, A, B, EXIT], ["create", "b.dll", "exit"], False),
    ([A, A], ["a.dll"], False),
    ([A, EXIT, B], ["b.dll", "exit", "a.dll"], True),
    ([CREATE, {"next": EXIT}, A], ["create", "a.dll", "exit"], True),
    ([CREATE, {"never": EXIT}, A, EXIT], ["create", "exit", "a.dll"], True),
    ([CREATE, {"never": [C, EXIT]}, EXIT, A], ["create", "c.dll", "exit", "a.dll"], True),
    ([CREATE, {"never": CREATE}, EXIT, A], ["create", "create", "exit", "a.dll"], True),
    ([CREATE, {"one_of": [A, EXIT]}, CREATE], ["create", "create", "a.dll"], True),
    ([CREATE, {"one_of": [A, EXIT]}, CREATE], ["create", "create"], False),
    ([A, {"next": B}], ["b.dll", "a.dll"], True),
    ([C, {"next": A}, {"next": B}], ["b.dll", "c.dll", "a.dll"], True),
    ([A, {"never": C}, B], ["a.dll", "c.dll", "b.dll"], True),
    ([A, {"any_order": [B, C]}, EXIT], ["c.dll", "b.dll", "a.dll", "exit"], True),
    ([{"repeat": {"of": A, "min": 2}}, EXIT], ["exit", "a.dll", "a.dll"], True),
    ([{"repeat": {"of": A, "min": 2}}, EXIT], ["a.dll", "exit"], False),
]


@pytest.mark.parametrize(("order", "trace", "passes"), TABLE)
def test_they_may_come_anywhere_and_nothing_else_may(
    order: list[object], trace: list[str], passes: bool
) -> None:
    result = judged(json.dumps({"order": order}), images(*trace))
    assert result.passed == passes, result
    assert "order" in {each.what for each in result.unobserved if "tell when an event of" in each.why}


@pytest.mark.parametrize(
    "of",
    [{"repeat": {"of": [A, B], "min": 2}}, {"one_of": [{"repeat": {"of": [CREATE, A], "min": 1}}, EXIT]}],
)
def test_which_round_of_a_repeat_they_belong_to_nobody_can_tell(of: object) -> None:
    result = judged(json.dumps({"order": [of]}), images("exit"))
    assert (result.broken, result.passed, result.skipped) == (False, False, True)


def test_what_is_not_judged_is_counted(tmp_path: Path) -> None:
    order = [A, {"never": C}, {"next": B}, EXIT]
    result = judged(json.dumps({"order": order}), images("b.dll", "a.dll", "exit"))
    counted = {each.what: each.promises for each in result.unobserved if each.line}
    assert counted == {"never": 1, "next": 1, "order": 0}


def elsewhere(trace: list[Event], chance: random.Random) -> list[Event]:
    """The trace, its creations written down at other places."""
    rest = [event for event in trace if not isinstance(event, ProcessCreate)]
    for event in trace:
        if isinstance(event, ProcessCreate):
            rest.insert(chance.randrange(len(rest) + 1), event)
    return [msgspec.structs.replace(event, index=index) for index, event in enumerate(rest)]


def test_a_trace_that_keeps_the_whole_keeps_what_is_left_wherever_they_stand() -> None:
    left_something = 0
    seed = cases = 0
    while cases < CASES:
        seed += 1
        chance = random.Random(seed)
        block = Orders(chance).block()
        try:
            scenario = parse(HEAD % OFF + "  " + json.dumps(block) + "\n", Path("t.yaml"))
        except ScenarioError:
            continue
        (expectation,) = scenario.expect
        trace = events(chance)
        observation = Observation(scenario, unordered=("process_create",))
        observation.feed(trace)
        part = judgeable(expectation, observation, ())
        promised = sum(each.promises for each in part.unobserved)
        promised += count_promises(part.expectation) if part.expectation else 0
        assert promised == count_promises(expectation), (seed, block)
        cases += 1
        result = check(scenario, trace, {}, observation)
        left_something += bool(part.unobserved)
        if holds(expectation, trace):
            assert not result.broken, (seed, block, trace)
            moved = elsewhere(trace, chance)
            observation = Observation(scenario, unordered=("process_create",))
            observation.feed(moved)
            assert not check(scenario, moved, {}, observation).broken, (seed, block, moved)
    assert left_something > CASES // 20
