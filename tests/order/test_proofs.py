"""Every failure has a proof that the checker accepts; a proof in which anything is altered it refuses.

``PROCNOTIFY_ORDER_CASES`` is the number of failures and of altered proofs; the suite itself takes a fourth of
its own number.
"""

from __future__ import annotations

import ast
import os
import random
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from altered_proofs import altered
from random_failures import failures
from random_orders import events as random_events
from scenarios_of import HEAD, OFF, trace

from harness.events import Event, ProcessCreate, ProcessExit, Reboot, kind_of
from harness.order import Failure, check
from harness.order import proof as checker
from harness.order.proof import refusal
from harness.order.refutation import MAX_LOOKS, End, OrderRefuted, Proof
from harness.scenario import Scenario, parse
from harness.scenario.rules import RULES

CASES = int(os.environ.get("PROCNOTIFY_ORDER_CASES", "1200"))
SAMPLE = CASES if CASES >= 10_000 else CASES // 4
COUNTED = {"no_lost_lines", "totals_count_every_line"}
"""Rules that counters decide, not events."""


def proof_of(failure: Failure) -> Proof:
    assert failure.explanation.proof is not None, failure.explanation.unproved
    return failure.explanation.proof


def says_truly_what_came(failure: Failure, events: list[Event]) -> bool:
    words = failure.explanation.contradiction
    came = re.split(r"\W", words, maxsplit=1)[0] in map(kind_of, events)
    return not words.endswith(
        "no event of that kind came at all" if came else "no further event of that kind came"
    )


def test_every_failure_has_a_proof_that_is_accepted() -> None:
    seen: Counter[str] = Counter()
    for scenario, events, failure in islice(failures(1), SAMPLE):
        why = refusal(proof_of(failure), scenario, failure.expectation, events, {})
        assert why == "", f"{failure.reason}\n{scenario.expect}\n{events}"
        assert says_truly_what_came(failure, events), f"{failure.reason}\n{scenario.expect}\n{events}"
        seen[failure.violation.rule if failure.violation else type(proof_of(failure)).__name__] += 1
    assert seen["OrderRefuted"] > SAMPLE // 3
    assert seen["ForbiddenCame"] > SAMPLE // 100
    if SAMPLE >= 10_000:
        assert seen.keys() == (RULES.keys() - COUNTED) | {"OrderRefuted", "ForbiddenCame"}


def test_an_altered_proof_is_refused() -> None:
    chance = random.Random(2)
    seen: Counter[str] = Counter()
    for scenario, events, failure in islice(failures(2), SAMPLE):
        what, other = chance.choice(list(altered(proof_of(failure))))
        assert refusal(other, scenario, failure.expectation, events, {}), f"{what}: {other}\n{events}"
        seen[what] += 1
    assert len(seen) > 12


def test_the_proof_of_one_trace_proves_nothing_of_another() -> None:
    """Least of all of one that keeps the order."""
    chance = random.Random(3)
    kept = 0
    for scenario, _, failure in islice(failures(3), SAMPLE // 3):
        for other in [random_events(chance) for _ in range(8 if scenario.expect else 0)]:
            if check(scenario, other, {}).passed:
                kept += 1
                assert refusal(proof_of(failure), scenario, failure.expectation, other, {}), other
    assert kept > SAMPLE // 60


def broken(block: str, events: list[Event]) -> tuple[Scenario, Failure]:
    scenario = parse(HEAD % OFF + "".join(f"  {line}\n" for line in block.splitlines()), Path("t.yaml"))
    (failure,) = check(scenario, events, {}).failures
    return scenario, failure


def test_what_ends_each_branch() -> None:
    _, failure = broken(
        "order:\n  - process_create: {pid: $p}\n  - next: {process_exit: {pid: $p}}\n", trace("C1 C2 X1")
    )
    proof = proof_of(failure)
    assert isinstance(proof, OrderRefuted)
    (refuted,) = proof.scopes
    ends = [
        (branch.opened, branch.line, dict(branch.known), branch.end, branch.ended)
        for branch in refuted.branches
    ]
    assert ends == [
        (None, None, {}, End.WAITING, None),
        (0, 8, {"p": 1}, End.STOPPED, 1),
        (1, 8, {"p": 2}, End.STOPPED, 2),
    ]


@pytest.mark.parametrize("scope", [1, 2, 3, 4])
def test_what_is_forbidden_in_the_one_scope_that_keeps_the_order(scope: int) -> None:
    ended = "process_exit: {pid: $p}"
    block = f"scope: {{pid: $p}}\norder:\n  - process_create: {{pid: $p}}\n  - {ended}\nnever: {{{ended}}}\n"
    events = trace(f"{' '.join(f'C{n}' for n in range(1, scope + 1))} X{scope}")
    scenario, failure = broken(block, events)
    proof = proof_of(failure)
    assert isinstance(proof, OrderRefuted)
    assert [refuted.scope for refuted in proof.scopes] == [(("p", scope),)]
    assert refusal(proof, scenario, failure.expectation, events, {}) == ""
    elsewhere = replace(proof, scopes=(replace(proof.scopes[0], scope=(("p", 9),)),))
    assert refusal(elsewhere, scenario, failure.expectation, events, {}) == (
        "its scopes are not those of the trace"
    )


def test_a_clock_that_began_anew_ends_a_branch_with_a_limit() -> None:
    events: list[Event] = [
        ProcessCreate(index=0, pid=1, time=10),
        Reboot(index=1),
        ProcessExit(index=2, pid=1, time=11),
    ]
    block = "order:\n  - process_create: {pid: 1}\n  - within: 1s\n  - process_exit: {pid: 1}\n"
    scenario, failure = broken(block, events)
    proof = proof_of(failure)
    assert isinstance(proof, OrderRefuted)
    assert End.CLOCK in {branch.end for branch in proof.scopes[0].branches}
    assert refusal(proof, scenario, failure.expectation, events, {}) == ""


def test_a_failure_that_would_take_too_large_a_proof_says_that_it_has_none() -> None:
    """Each creation may be the one whose process ends."""
    pids = range(1, 3_000)
    events: list[Event] = [ProcessCreate(index=pid - 1, pid=pid) for pid in pids]
    _, failure = broken("order:\n  - process_create: {pid: $p}\n  - process_exit: {pid: $p}\n", events)
    assert failure.explanation.proof is None
    assert failure.explanation.unproved == f"it would take more than {MAX_LOOKS} looks"


def test_a_long_order_of_loose_items_takes_a_branch_an_item() -> None:
    items = "".join(f"  - process_create: {{pid: {n}}}\n" for n in range(1, 9))
    events: list[Event] = [ProcessCreate(index=n, pid=n % 7 + 1) for n in range(20_000)]
    _, failure = broken(f"order:\n{items}", events)
    proof = proof_of(failure)
    assert isinstance(proof, OrderRefuted)
    assert len(proof.scopes[0].branches) == 8


@pytest.mark.parametrize("module", ["search", "ways", "index", "standing", "explain", "refuting", "check"])
def test_the_checker_knows_nothing_of_the_search(module: str) -> None:
    """Nor does anything that it imports of this room."""
    room = Path(checker.__file__).parent
    reached, todo = set[str](), ["proof"]
    while todo:
        name = todo.pop()
        if name in reached or not (room / f"{name}.py").exists():
            continue
        reached.add(name)
        for node in ast.walk(ast.parse((room / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                todo += [node.module.removeprefix("harness.order.")]
    assert module not in reached
