"""Schedules: recorded from any policy, played back, and compared."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.dispatcher.policies import POLICIES, make_policy
from harness.virtual.dispatcher.policy import Point
from harness.virtual.dispatcher.schedule import (
    Preemption,
    RecordingPolicy,
    ReplayPolicy,
    Schedule,
    difference,
)
from harness.virtual.interfaces import ThreadContext

THREADS = [ThreadContext(4, tid, 0) for tid in (8, 12, 16, 20, 24)]


class Answering:
    """A policy that answers by a list."""

    name = "answering"
    preempts = True

    def __init__(self, answers: list[int]) -> None:
        self._answers = iter(answers)

    def choose(self, point: Point, able: object) -> int:
        return next(self._answers)


questions = st.lists(st.tuples(st.sampled_from(Point), st.integers(0, 4), st.integers(0, 4)), max_size=40)
"""The kind of point, how many others there are, and what is answered."""


def asked(policy: object, points: list[tuple[Point, int]]) -> tuple[list[int], Schedule]:
    recording = RecordingPolicy(policy)  # type: ignore[arg-type]  # two kinds of policy
    chosen = [
        recording.choose(point, lambda others=others: THREADS[: others + 1]) for point, others in points
    ]  # type: ignore[misc]  # a lambda with a default
    return chosen, recording.schedule()


@given(questions)
def test_a_recorded_schedule_played_back_answers_and_records_the_same(
    wanted: list[tuple[Point, int, int]],
) -> None:
    points = [(point, others) for point, others, _ in wanted]
    answers = [min(answer, others) for _, others, answer in wanted]
    chosen, schedule = asked(Answering(answers), points)
    assert chosen == answers
    assert schedule.choices == {step: answer for step, answer in enumerate(answers) if answer}
    again, recorded = asked(ReplayPolicy(schedule.choices), points)
    assert (again, recorded) == (answers, schedule)
    assert difference(schedule, recorded) == ""
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=Schedule) == schedule


@pytest.mark.parametrize("name", POLICIES)
def test_recording_changes_no_answer(name: str) -> None:
    rng = Random(3)
    points = [(rng.choice(list(Point)), rng.randrange(5)) for _ in range(500)]
    bare = make_policy(name, 7)
    alone = [bare.choose(point, lambda others=others: THREADS[: others + 1]) for point, others in points]  # type: ignore[misc]  # a lambda with a default
    assert asked(make_policy(name, 7), points)[0] == alone


def test_what_is_wanted_beyond_those_that_are_able_is_the_last_of_them() -> None:
    points = [(Point.KERNEL_CALL, others) for others in (4, 2, 0)]
    chosen, schedule = asked(ReplayPolicy({0: 3, 1: 3, 2: 3}), points)
    assert chosen == [3, 2, 0]
    assert schedule.preemptions == (
        Preemption(0, 3, "kernel_call", 8, 20),
        Preemption(1, 2, "kernel_call", 8, 16),
    )


ONE = Preemption(5, 1, "kernel_call", 8, 12)


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (
            Schedule((Preemption(5, 2, "kernel_call", 8, 16),), 9, "aa"),
            "recorded at step 5 (kernel_call) thread 8 lets 12 go first (choice 1), now at step 5"
            " (kernel_call) thread 8 lets 16 go first (choice 2)",
        ),
        (
            Schedule((), 9, "aa"),
            "recorded at step 5 (kernel_call) thread 8 lets 12 go first (choice 1),"
            " now no further preemption",
        ),
        (Schedule((ONE,), 8, "aa"), "recorded 9 questions to the policy, now 8"),
        (Schedule((ONE,), 9, "bb"), "as many questions to the policy as recorded, of other kinds"),
        (Schedule((ONE,), 9, "aa"), ""),
    ],
)
def test_a_difference_is_told_with_its_first_place(again: Schedule, words: str) -> None:
    assert difference(Schedule((ONE,), 9, "aa"), again) == words
