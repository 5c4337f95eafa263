"""Not observed is not broken, and no reason to pass: random orders, and traces that lack something."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from random_orders import Orders, events
from reference import holds
from scenarios_of import HEAD, OFF, trace

from harness.callbacks import CALLBACK_KINDS
from harness.errors import ScenarioError
from harness.events import (
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
    WitnessName,
)
from harness.order import Observation, check
from harness.order.judgeable import judgeable
from harness.order.promises import count_promises
from harness.scenario import RULES, Scenario, parse
from harness.scenario.model import Pattern

CASES = int(os.environ.get("PROCNOTIFY_ORDER_CASES", "1200"))
NO_CONTEXT = frozenset({("process_exit", "context_pid")})
NO_TIME = frozenset({("process_create", "time"), ("process_exit", "time")})
EXITS_OF_2 = (Pattern("process_exit", (("pid", 2),), 0),)


def cases() -> Iterator[tuple[str, Scenario, list[Event]]]:
    seed = 0
    while True:
        seed += 1
        chance = random.Random(seed)
        block = Orders(chance).block()
        try:
            scenario = parse(HEAD % OFF + "  " + json.dumps(block) + "\n", Path("t.yaml"))
        except ScenarioError:
            continue
        for _ in range(3):
            yield f"seed {seed}: {json.dumps(block)}", scenario, events(chance)


def without(trace: list[Event], field: str) -> list[Event]:
    """The trace of a driver that does not print the field."""
    return [msgspec.structs.replace(e, **{field: None}) if hasattr(e, field) else e for e in trace]


@pytest.mark.parametrize(("field", "lost"), [("context_pid", NO_CONTEXT), ("time", NO_TIME)])
def test_what_no_event_carries_breaks_nothing_and_proves_nothing(
    field: str, lost: frozenset[tuple[str, str]]
) -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    for said, scenario, whole in cases():
        trace = without(whole, field)
        (expectation,) = scenario.expect
        observation = Observation.over(scenario, trace)
        lacking = frozenset(each for each in lost if observation.lacks(*each))
        result = check(scenario, trace, {})
        if result.unjudged:
            continue  # too ambiguous
        told = f"{said}\n{trace}\n{result.unobserved}"
        # Where the driver keeps the promise, it does so whatever it prints. ``null`` is about what it prints.
        if "null" not in said:
            assert not (holds(expectation, whole) and result.broken), told
        of_block = [each for each in result.unobserved if each.expectation is expectation]
        part_of_it = judgeable(expectation, observation, ())
        left = part_of_it.expectation
        promised = sum(each.promises for each in of_block) + (count_promises(left) if left else 0)
        assert promised == count_promises(expectation), told
        if left is None:
            assert result.skipped, told
            assert not result.passed, told
        elif holds(expectation, trace, lacking):
            assert result.passed, told
        elif result.passed:
            # The reference looks at each reading by itself, whether a variable has a value in it.
            assert any(each.why.startswith("$") for each in of_block), told
        if not of_block:
            assert result.passed is holds(expectation, trace), told
        seen[bool(of_block), result.passed] += 1
        if seen.total() >= CASES // 24:
            break
    in_part = [passed for (partly, passed), count in seen.items() for _ in range(count) if partly]
    assert len(in_part) > CASES // 120
    assert field == "time" or min(in_part.count(True), in_part.count(False)) > CASES // 600


def test_what_the_machine_does_not_report_breaks_nothing() -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    for said, scenario, whole in cases():
        kept = [event for event in whole if not (isinstance(event, ProcessExit) and event.pid == 2)]
        trace = [msgspec.structs.replace(event, index=index) for index, event in enumerate(kept)]
        (expectation,) = scenario.expect
        observation = Observation(scenario, EXITS_OF_2)
        observation.feed(trace)
        result = check(scenario, trace, {}, observation)
        if result.unjudged or not trace:
            continue
        told = f"{said}\n{whole}\n{result.unobserved}"
        assert not (holds(expectation, whole) and result.broken), told
        of_block = [each for each in result.unobserved if each.expectation is expectation]
        left = judgeable(expectation, observation, ()).expectation
        promised = sum(each.promises for each in of_block) + (count_promises(left) if left else 0)
        assert promised == count_promises(expectation), told
        if not of_block:
            assert result.passed is holds(expectation, trace), told
        seen[bool(of_block), result.passed] += 1
        if seen.total() >= CASES // 24:
            break
    assert min(seen[True, True], seen[True, False], seen[False, False]) > CASES // 1200, seen


@pytest.mark.parametrize(
    ("block", "passed", "skipped"),
    [
        ("scope: {image: a.dll}, order: [image_load: {pid: 1}]", True, False),
        ("scope: {image: a.dll}, never: [image_load: {pid: 1}]", False, False),
        ("scope: {image: a.dll}, only: true, order: [image_load: {pid: 1}]", False, True),
        ("scope: {image: a.dll}, order: [image_load: {pid: 1}, next: {image_load: {pid: 1}}]", False, True),
        ("scope: {image: a.dll}, never: [process_create: {pid: 1}]", False, True),
    ],
)
def test_a_scope_is_known_as_far_as_the_kinds_carry_it_of_which_the_block_speaks(
    block: str, passed: bool, skipped: bool
) -> None:
    scenario = parse(HEAD % OFF + f"  {{{block}}}\n", Path("t.yaml"))
    image = ImageLoad(index=1, pid=1, image="\\d\\a.dll", base=4096, time=10_000_000)
    result = check(scenario, [*trace("C1"), image], {})
    assert (result.passed, result.skipped) == (passed, skipped), result


LIFE_OF_7 = """
  - order:
      - process_create: {pid: 7}
      - thread_create: {pid: 7}
      - thread_exit: {pid: 7}
      - process_exit: {pid: 7}
  - never:
      - image_load: {image: evil.dll}
"""
PROCESSES = frozenset({"process_create", "process_exit"})
ALL = frozenset(CALLBACK_KINDS)


def life(words: str) -> list[Event]:
    found: list[Event] = []
    for index, word in enumerate(words.split()):
        match word:
            case "create":
                found.append(ProcessCreate(index=index, pid=7))
            case "exit":
                found.append(ProcessExit(index=index, pid=7))
            case "thread":
                found.append(ThreadCreate(index=index, pid=7, tid=8))
            case "thread-exit":
                found.append(ThreadExit(index=index, pid=7, tid=8))
            case image:
                found.append(ImageLoad(index=index, pid=7, image=image))
    return found


@pytest.mark.parametrize(
    ("words", "witness", "printed", "outcome", "not_judged"),
    [
        ("create thread thread-exit a.dll exit", "print", ALL, "passed", []),
        ("create thread thread-exit evil.dll exit", "print", ALL, "broken", []),
        # A kind that the grammar gives and of which no line came: broken where it is promised.
        ("create exit", "print", ALL, "broken", ["image_load"]),
        ("create exit", "print", None, "broken", ["image_load"]),
        # One that the grammar does not give: nothing that the driver does would tell of it.
        ("create exit", "print", PROCESSES, "passed", ["thread_create", "thread_exit", "image_load"]),
        ("create", "print", PROCESSES, "broken", ["thread_create", "thread_exit", "image_load"]),
        (
            "create thread exit a.dll",
            "print",
            PROCESSES | {"thread_create", "image_load"},
            "passed",
            ["thread_exit"],
        ),
        # The kernel calls whatever is registered, so that no call of a group is no registration.
        ("create exit", "target", ALL, "passed", ["thread_create", "thread_exit", "image_load"]),
        ("create exit", "breakpoint", ALL, "passed", ["thread_create", "thread_exit", "image_load"]),
        ("create", "target", ALL, "broken", ["thread_create", "thread_exit", "image_load"]),
        ("create thread exit a.dll", "target", ALL, "broken", []),
        ("create thread exit", "target", frozenset(), "broken", ["image_load"]),
        ("create thread thread-exit exit evil.dll", "target", PROCESSES, "broken", []),
        ("thread thread-exit", "target", ALL, "passed", ["process_create", "process_exit", "image_load"]),
        # Another tool registers for no driver.
        ("create exit", "monitor", PROCESSES, "broken", ["image_load"]),
    ],
)
def test_a_kind_of_which_the_witness_cannot_tell_breaks_nothing(
    words: str,
    witness: WitnessName,
    printed: frozenset[str] | None,
    outcome: str,
    not_judged: list[str],
) -> None:
    scenario = parse(HEAD % ", ".join(RULES) + LIFE_OF_7, Path("t.yaml"))
    events = life(words)
    result = check(scenario, events, {}, Observation.over(scenario, events, (), witness, printed))
    assert (result.passed, bool(result.broken)) == (outcome == "passed", outcome == "broken")
    assert sorted(each.what for each in result.unobserved) == sorted(not_judged)
