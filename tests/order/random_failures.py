"""Random failures: of orders of the whole language, and of lifecycle rules."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from random_orders import SECOND, Orders, events
from scenarios_of import HEAD, OFF

from harness.errors import ScenarioError
from harness.events import (
    Driver,
    Event,
    ImageLoad,
    ProcessCreate,
    ProcessExit,
    Reboot,
    ThreadCreate,
    ThreadExit,
)
from harness.order import Failure, check
from harness.scenario import Scenario, parse
from harness.scenario.model import Variable

RULES_ONLY = "scenario: t\nsummary: t.\nobserve: true\n"


class Broken(NamedTuple):
    """A failure and what it is of."""

    scenario: Scenario
    events: list[Event]
    failure: Failure


def failures(seed: int) -> Iterator[Broken]:
    """Failures without end, a fifth or so of them of lifecycle rules."""
    chance = random.Random(seed)
    while True:
        scenario = parse(RULES_ONLY, Path("t.yaml")) if chance.random() < 0.1 else _order(chance)
        if scenario is None:
            continue
        for _ in range(3):
            trace = events(chance) if scenario.expect else lives(chance)
            if _has_free_scope(scenario) and chance.random() < 0.5:
                trace = _with_other_scopes_first(trace)
            if scenario.expect and chance.random() < 0.1:
                trace = _rebooted(chance, trace)
            found = check(scenario, trace, {}).failures
            if found:
                yield Broken(scenario, trace, chance.choice(found))


def _order(chance: random.Random) -> Scenario | None:
    block = Orders(chance).block()
    if chance.random() < 0.1:
        block["scope"] = {"pid": "$p"}
        if chance.random() < 0.5:
            block = _kept_in_one_scope()
    try:
        return parse(HEAD % OFF + "  " + json.dumps(block) + "\n", Path("t.yaml"))
    except ScenarioError:
        return None


def _has_free_scope(scenario: Scenario) -> bool:
    scope = [pattern for expectation in scenario.expect for pattern in expectation.scope]
    return any(isinstance(value, Variable) for pattern in scope for _, value in pattern.fields)


def _with_other_scopes_first(trace: list[Event]) -> list[Event]:
    others: list[Event] = [ProcessCreate(index=0, pid=pid, parent_pid=0, time=0) for pid in (7, 8, 9)]
    return [_numbered(event, index) for index, event in enumerate([*others, *trace])]


def _kept_in_one_scope() -> dict[str, object]:
    """Broken only by what is forbidden in whichever scope the order is found in."""
    created, ended = {"process_create": {"pid": "$p"}}, {"process_exit": {"pid": "$p"}}
    return {"scope": {"pid": "$p"}, "order": [created, ended], "never": [ended]}


def _rebooted(chance: random.Random, trace: list[Event]) -> list[Event]:
    """The same with the clock beginning anew somewhere."""
    at = chance.randint(0, len(trace))
    whole = [*trace[:at], Reboot(index=0), *trace[at:]]
    return [_numbered(event, index) for index, event in enumerate(whole)]


def _numbered(event: Event, index: int) -> Event:
    values = {name: getattr(event, name) for name in event.__struct_fields__}
    return type(event)(**{**values, "index": index})


def lives(chance: random.Random) -> list[Event]:
    """What happens to three processes and four threads, in no order that makes sense."""
    found: list[Event] = []
    seq = time = 0
    for index in range(chance.randint(4, 14)):
        seq += chance.choice([1, 1, 1, 1, 1, 1, 0, 2])
        time += chance.choice([0, 1, 1, 1, 1, -3]) * SECOND
        pid, tid = chance.randint(0, 3), chance.randint(4, 7)
        own = {"index": index, "seq": seq, "time": max(time, 0), "line": str(index)}
        if chance.random() < 0.3:
            own |= {"seq": None, "time": None}
        match chance.randint(0, 11):
            case 0 | 1:
                found.append(ProcessCreate(pid=pid, **own))
            case 2 | 3:
                found.append(ProcessExit(pid=pid, context_pid=chance.choice([None, pid, pid, 9]), **own))
            case 4 | 5 | 6:
                found.append(ThreadCreate(pid=pid, tid=tid, **own))
            case 7 | 8:
                found.append(
                    ThreadExit(pid=pid, tid=tid, context_tid=chance.choice([None, tid, tid, 9]), **own)
                )
            case 9:
                found.append(ImageLoad(pid=pid, image="a.dll", **own))
            case 10:
                found.append(_driver(chance, own))
            case _ if chance.random() < 0.2:
                found.append(Reboot(index=index))
            case _:
                found.append(ImageLoad(pid=pid, **own))
    return found


def _driver(chance: random.Random, own: dict[str, object]) -> Driver:
    routine = chance.choice(
        ["PsSetLoadImageNotifyRoutine", "PsRemoveLoadImageNotifyRoutine", "PsSetCreateThreadNotifyRoutine"]
    )
    if chance.random() < 0.3:
        return Driver(function="DriverUnload", totals={"image_load": 1}, **own)
    function = (
        "DriverUnload" if "Remove" in routine else chance.choice(["DriverEntry", "DriverEntry", "Other"])
    )
    return Driver(function=function, routine=routine, status=chance.choice([0, 0, 0xC0000001]), **own)
