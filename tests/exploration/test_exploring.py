"""Explorations of small programs, held to what every order of their accesses gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from explored_programs import runner, tried
from hypothesis import given
from hypothesis import strategies as st
from small_programs import PROGRAMS, Interleaving, Program, interleavings

from harness.errors import InternalError, UsageError
from harness.exploration import exploring
from harness.exploration.exploring import EXHAUSTIVE, Explorer, Plan
from harness.exploration.journal import Journal
from harness.exploration.shrinking import shrink
from harness.exploration.trials import ScheduleTrial, TrialRecord
from harness.outcome import Outcome
from harness.report.exploration import account_lines, exploration_as_json

TWO_BY_THREE: Program = (((1, True),) * 3, ((1, True),) * 3)
ONE_SEED = range(1, 2)


def preemptions_of(program: Program, order: Interleaving) -> int:
    """How often the thread that runs had to stand aside for this order."""
    left = [len(accesses) for accesses in program]
    running, count = 0, 0
    for thread in order:
        if not left[running]:
            running = next(number for number, rest in enumerate(left) if rest)
        count += thread != running
        running = thread
        left[thread] -= 1
    return count


def overlaps(order: Interleaving) -> bool:
    """The second thread makes all its accesses behind the first of the first thread and before its second."""
    return order == (0, 1, 1, 1, 0, 0)


# Exhaustive


@pytest.mark.parametrize("bound", [0, 1, 2, 3])
def test_the_exhaustive_policy_runs_what_brute_force_counts_on_twenty_small_programs(bound: int) -> None:
    for number, program in enumerate(PROGRAMS):
        run, done = runner(program)
        found = Explorer(run, Plan(ONE_SEED, EXHAUSTIVE, bound)).explore()
        wanted = {str(order) for order in interleavings(program) if preemptions_of(program, order) <= bound}
        assert set(found.orders) == wanted, f"program {number}"
        assert found.schedules == len(wanted) == len(done), f"program {number}: one was run twice"
        assert found.proved


def lines(found: object, plan: Plan) -> str:
    return "\n".join(account_lines(found, plan, {}))  # type: ignore[arg-type]  # an exploration


def test_it_says_that_all_hold_when_that_is_so() -> None:
    plan = Plan(ONE_SEED, EXHAUSTIVE, 2)
    found = Explorer(runner(TWO_BY_THREE)[0], plan).explore()
    assert f"all {found.schedules} schedules with at most 2 preemptions hold" in lines(found, plan)


def test_a_policy_that_samples_says_that_none_failed_and_that_it_is_no_proof() -> None:
    plan = Plan(range(1, 4), "urw")
    found = Explorer(runner(TWO_BY_THREE)[0], plan).explore()
    assert "none of them failed; that proves nothing" in lines(found, plan)
    found = Explorer(runner(TWO_BY_THREE, lambda order: True)[0], plan).explore()
    assert "none of them failed" not in lines(found, plan)
    found.failures.clear()
    found.outcomes[:] = [Outcome.SKIPPED]
    assert "nothing of the scenario could be judged" in lines(found, plan)


def test_it_says_nothing_of_the_kind_when_some_were_not_run_or_fail() -> None:
    few = Plan(ONE_SEED, EXHAUSTIVE, 2, schedules=5)
    found = Explorer(runner(TWO_BY_THREE)[0], few).explore()
    assert (found.schedules, found.complete, found.proved) == (5, False, False)
    assert "not proved: there are more schedules with at most 2 preemptions than the 5" in lines(found, few)

    plan = Plan(ONE_SEED, EXHAUSTIVE, 2)
    found = Explorer(runner(TWO_BY_THREE, most=4)[0], plan).explore()
    assert (found.schedules, found.interrupted, found.proved) == (4, True, False)
    assert "hold" not in lines(found, plan)

    found = Explorer(runner(TWO_BY_THREE, overlaps)[0], plan).explore()
    assert (found.complete, found.proved, found.outcome) == (True, False, Outcome.BROKEN)
    assert f"1 of {found.schedules} schedules with at most 2 preemptions fail" in lines(found, plan)


def test_as_many_schedules_as_there_may_be_are_all() -> None:
    plan = Plan(ONE_SEED, EXHAUSTIVE, 2)
    count = Explorer(runner(TWO_BY_THREE)[0], plan).explore().schedules
    assert Explorer(runner(TWO_BY_THREE)[0], Plan(ONE_SEED, EXHAUSTIVE, 2, schedules=count)).explore().proved
    short = Plan(ONE_SEED, EXHAUSTIVE, 2, schedules=count - 1)
    assert not Explorer(runner(TWO_BY_THREE)[0], short).explore().proved


def test_a_run_with_more_decisions_than_are_remembered_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Explorer(runner(TWO_BY_THREE)[0], Plan(ONE_SEED, EXHAUSTIVE, 1)).explore()
    assert whole.proved
    monkeypatch.setattr(exploring, "MAX_DECISIONS", 1)
    found = Explorer(runner(TWO_BY_THREE)[0], Plan(ONE_SEED, EXHAUSTIVE, 1)).explore()
    assert (found.schedules, found.complete, found.proved) == (whole.schedules, False, False)
    assert Explorer(runner(TWO_BY_THREE)[0], Plan(ONE_SEED, EXHAUSTIVE, 0)).explore().proved


# Sampling


def test_a_failure_is_counted_and_shrunk_to_the_fewest_preemptions() -> None:
    def unlucky(order: Interleaving) -> bool:
        return order[:2] == (0, 1)

    plan = Plan(range(1, 201), "urw")
    run, done = runner(TWO_BY_THREE, unlucky)
    found = Explorer(run, plan).explore()
    assert done[0].policy == "default"
    assert found.policy == "urw:events=3/3"
    (failure,) = found.failures.values()
    sampled = [tried(TWO_BY_THREE, ScheduleTrial(seed, found.policy), unlucky) for seed in plan.seeds]
    assert failure.count == sum(record.failed for record in sampled) == found.failed
    assert 0 < failure.count < 200
    assert failure.first == next(record for record in sampled if record.failed)
    assert failure.number == failure.first.seed
    assert failure.shrunk is not None
    assert failure.shrunk.preemptions == 1
    assert failure.shrunk.order == str((0, 1, 1, 1, 0, 0))
    assert found.orders.total() == 200
    assert found.outcome is Outcome.BROKEN
    assert f"broken in {failure.count} of 200, first with seed {failure.first.seed}" in lines(found, plan)


def test_the_naive_random_policy_is_the_baseline() -> None:
    found = Explorer(runner(TWO_BY_THREE, overlaps)[0], Plan(range(1, 401), "urw")).explore()
    first = next(
        seed for seed in range(1, 401) if tried(TWO_BY_THREE, ScheduleTrial(seed, "random"), overlaps).failed
    )
    assert found.baseline is not None
    assert (found.baseline.found, found.baseline.schedules) == (True, first)
    alone = Explorer(runner(TWO_BY_THREE, overlaps)[0], Plan(range(1, 401), "random")).explore()
    assert alone.baseline is None
    held = Explorer(runner(TWO_BY_THREE)[0], Plan(range(1, 4), "urw")).explore()
    assert held.baseline is None


def test_what_comes_after_the_exploration_is_told_too() -> None:
    told: list[str] = []
    plan = Plan(range(1, 21), "urw")
    run, _done = runner(TWO_BY_THREE, lambda order: order[:2] == (0, 1))
    found = Explorer(run, plan, told=lambda _found, purpose: told.append(purpose)).explore()
    assert found.baseline is not None
    assert told[:20] == [""] * 20
    shrinking = [purpose for purpose in told if purpose.startswith("shrinking a failure of seed ")]
    assert shrinking and shrinking[-1].endswith(f", run {len(shrinking)}")
    assert told[-1] == f"the random policy for comparison, schedule {found.baseline.schedules} of 20"


def test_fail_fast_ends_with_the_first_failure() -> None:
    plan = Plan(range(1, 201), "urw", fail_fast=True, shrink=False)
    found = Explorer(runner(TWO_BY_THREE, lambda order: order[0] == 1)[0], plan).explore()
    assert found.failed == 1
    assert found.schedules < 200
    assert not found.complete


def test_a_schedule_that_does_not_repeat_is_a_fault_of_the_rig() -> None:
    runs = 0

    def run(trials: Iterable[ScheduleTrial]) -> Iterator[TrialRecord]:
        nonlocal runs
        for trial in trials:
            runs += 1
            replayed = trial.choices is not None
            yield tried(TWO_BY_THREE, trial._replace(choices=()) if replayed else trial, lambda _order: True)

    with pytest.raises(InternalError, match=r"a schedule of seed \d+ did not repeat: recorded at step"):
        Explorer(run, Plan(range(1, 20), "urw")).explore()


def test_a_failure_that_passes_when_it_is_played_back_is_a_fault_of_the_rig() -> None:
    def run(trials: Iterable[ScheduleTrial]) -> Iterator[TrialRecord]:
        for trial in trials:
            yield tried(TWO_BY_THREE, trial, lambda _order, played=trial.choices is not None: not played)  # type: ignore[misc]  # a lambda with a default

    with pytest.raises(InternalError, match="recorded a failure, now it passes"):
        Explorer(run, Plan(range(1, 3), "urw")).explore()


# Shrinking


@given(
    st.integers(0, 24).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, max(size - 1, 0))))
    )
)
def test_shrinking_finds_exactly_what_is_needed(case: tuple[int, set[int]]) -> None:
    size, needed = case[0], {item for item in case[1] if item < case[0]}
    assert set(shrink(range(size), needed.issubset, most=10_000)) == needed


def test_two_that_are_of_use_only_together_are_left_out_together() -> None:
    def fails(part: Iterable[int]) -> bool:
        return 5 in part and (1 in part) == (3 in part)

    assert shrink(range(8), fails) == (5,)


def test_shrinking_ends_when_it_has_cost_enough() -> None:
    asked: list[int] = []

    def fails(part: object) -> bool:
        asked.append(1)
        return set(part) >= {0, 9, 19}  # type: ignore[call-overload]  # an iterable

    left = shrink(range(20), fails, most=10)
    assert len(asked) == 10
    assert {0, 9, 19} <= set(left)


# The journal

OF = {"scenario": "aa", "policy": "urw"}


@pytest.mark.parametrize("policy", ["urw", EXHAUSTIVE])
def test_an_exploration_that_was_interrupted_goes_on_and_finds_the_same(tmp_path: Path, policy: str) -> None:
    plan = Plan(range(1, 61) if policy == "urw" else ONE_SEED, policy)
    whole = Explorer(runner(TWO_BY_THREE, overlaps)[0], plan).explore()
    path = tmp_path / "folder" / "journal"
    with Journal(path, OF) as journal:
        part = Explorer(runner(TWO_BY_THREE, overlaps, most=9)[0], plan, journal=journal).explore()
    assert part.interrupted
    with path.open("ab") as file:
        file.write(b'{"seed":')  # cut off
    run, done = runner(TWO_BY_THREE, overlaps)
    with Journal(path, OF) as journal:
        resumed = Explorer(run, plan, journal=journal).explore()
    assert exploration_as_json(resumed, plan, {}) == exploration_as_json(whole, plan, {})
    assert resumed.orders == whole.orders
    sampled = [trial for trial in done if trial.anchors is None and trial.policy not in ("random", "default")]
    assert len(sampled) < whole.schedules, "what was known was done again"
    with Journal(path, OF) as journal:
        assert len(journal.known) == whole.schedules


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense\n", "is no journal of an exploration"),
        (b'{"journal":2,"of":{}}\n', "is a journal of version 2, not 1"),
        (b'{"journal":1,"of":{"scenario":"aa","policy":"urw"}}\n{"seed":1}\n', "is no journal"),
        (b"[" * 100_000 + b"\n", "is no journal"),
        (
            b'{"journal":1,"of":{"scenario":"aa","policy":"urw"}}\n'
            b'{"seed":1,"outcome":1,"order":"","preemptions":0}\n',
            "a run that failed has no schedule",
        ),
        (
            b'{"journal":1,"of":{"scenario":"aa","policy":"pct"}}\n',
            "is the journal of another exploration: policy was pct, now urw",
        ),
    ],
)
def test_what_is_no_journal_of_this_exploration_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Journal(path, OF)
    assert words in caught.value.message
    assert path.read_bytes() == content


def test_json_has_a_finding_with_its_replay_file() -> None:
    plan = Plan(range(1, 201), "urw")
    found = Explorer(runner(TWO_BY_THREE, overlaps)[0], plan).explore()
    document = json.loads(json.dumps(exploration_as_json(found, plan, {}), default=str))
    (failure,) = document["failures"]
    assert failure["first_seed"] == failure["first_schedule"]
    assert (failure["outcome"], failure["exit_code"], failure["shrunk_to"]) == ("broken promise", 1, 1)
    assert document["seeds"] == [1, 200]
    assert document["preemptions"] is None
