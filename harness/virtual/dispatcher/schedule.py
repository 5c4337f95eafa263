"""A schedule as a value: what a policy answered in one run, recorded, and played back.

A run asks its policy thousands of questions (:meth:`~harness.virtual.dispatcher.policy.Policy.choose`), and
nearly all answers are "go on". So a schedule keeps the others alone, each with the number of its question,
and of all questions how many there were and a digest of their kinds. Two runs of one seed with equal
schedules had the same interleaving; a run that is played back and records another schedule than the one it
was given did not repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from harness.virtual.dispatcher.policy import LookingPolicy, Point, Policy
from harness.virtual.interfaces import ThreadContext

__all__ = ["REPLAY", "Preemption", "RecordingPolicy", "ReplayPolicy", "Schedule", "difference"]

REPLAY: Final = "replay"
"""The name of the policy that plays a schedule back."""
_CODES: Final = {point: bytes((number,)) for number, point in enumerate(Point)}


class Preemption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer that let others go first."""

    step: int
    """Which question it answers, counted from 0 over the whole boot."""
    chosen: int
    """The index that was chosen, from 1; see :meth:`~harness.virtual.dispatcher.policy.Policy.choose`."""
    point: str
    """The name of the :class:`~harness.virtual.dispatcher.policy.Point`, in lower case."""
    thread: int
    """TID of the thread that stood aside."""
    first: int
    """TID of the thread that was let go first."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All answers of one run."""

    preemptions: tuple[Preemption, ...]
    """By rising steps."""
    steps: int
    """How many questions were asked."""
    points: str
    """SHA-256 over the kinds of all questions in their order, a byte each, in hexadecimal."""

    @property
    def choices(self) -> dict[int, int]:
        """Step → index, of the preemptions."""
        return {preemption.step: preemption.chosen for preemption in self.preemptions}


class RecordingPolicy:
    """Answers as another policy does, and keeps the schedule.

    :param policy: the other one.
    """

    preempts = True

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.name = policy.name
        self._preemptions: list[Preemption] = []
        self._steps = 0
        self._points = hashlib.sha256()
        self._looking = policy if isinstance(policy, LookingPolicy) else None

    def look(self, thread: int, word: int, write: bool, at: Callable[[], str]) -> None:
        """See :class:`~harness.virtual.dispatcher.policy.LookingPolicy`."""
        if self._looking is not None:
            self._looking.look(thread, word, write, at)

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        chosen = self._policy.choose(point, able)
        if chosen:
            threads = able()
            self._preemptions.append(
                Preemption(self._steps, chosen, point.name.lower(), threads[0].tid, threads[chosen].tid)
            )
        self._steps += 1
        self._points.update(_CODES[point])
        return chosen

    @property
    def steps(self) -> int:
        """How many questions were asked by now."""
        return self._steps

    def schedule(self) -> Schedule:
        """What was answered by now."""
        return Schedule(tuple(self._preemptions), self._steps, self._points.hexdigest())


class ReplayPolicy:
    """``replay``: answers what a schedule says, and "go on" to every other question.

    Where there are fewer to choose among than an answer wants, it is the last of them: so a schedule can be
    tried in a run that it was not recorded from. Whether a run repeated is seen by comparing what was
    recorded of it (:func:`difference`).

    :param choices: step → index; see :attr:`Schedule.choices`.
    """

    name = REPLAY
    preempts = True

    def __init__(self, choices: Mapping[int, int]) -> None:
        self._choices = dict(choices)
        self._step = -1

    def choose(self, point: Point, able: Callable[[], Sequence[ThreadContext]]) -> int:
        """See :class:`~harness.virtual.dispatcher.policy.Policy`."""
        self._step += 1
        wanted = self._choices.get(self._step, 0)
        return min(wanted, len(able()) - 1) if wanted else 0


def difference(recorded: Schedule, again: Schedule) -> str:
    """Where the second schedule departs from the first, in words; empty where they are equal."""
    for before, now in zip(recorded.preemptions, again.preemptions, strict=False):
        if before != now:
            return f"recorded {_words((before,))}, now {_words((now,))}"
    count = min(len(recorded.preemptions), len(again.preemptions))
    rest, more = recorded.preemptions[count:], again.preemptions[count:]
    if rest or more:
        return f"recorded {_words(rest[:1])}, now {_words(more[:1])}"
    if recorded.steps != again.steps:
        return f"recorded {recorded.steps} questions to the policy, now {again.steps}"
    if recorded.points != again.points:
        return "as many questions to the policy as recorded, of other kinds"
    return ""


def _words(preemptions: Iterable[Preemption]) -> str:
    for one in preemptions:
        return (
            f"at step {one.step} ({one.point}) thread {one.thread} lets {one.first} go first"
            f" (choice {one.chosen})"
        )
    return "no further preemption"
