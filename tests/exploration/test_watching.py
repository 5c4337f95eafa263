"""What is seen of a run's interleaving, and preemptions that are played back by who did what."""

from __future__ import annotations

from small_programs import PROGRAMS, Program, run

from harness.events import ImageLoad, ProcessCreate, ProcessExit, ThreadCreate
from harness.exploration.trials import order_of
from harness.exploration.watching import AnchoredPolicy, Decision, WatchingPolicy
from harness.virtual.dispatcher.policies import make_policy
from harness.virtual.dispatcher.policy import Point
from harness.virtual.dispatcher.schedule import ReplayPolicy, difference
from harness.virtual.interfaces import ThreadContext

TWO_BY_TWO: Program = (((1, True),) * 2, ((1, False),) * 2)


def test_every_preemption_is_played_back_by_who_did_what() -> None:
    for program in PROGRAMS:
        for seed in range(20):
            watching = WatchingPolicy(make_policy("urw", seed))
            order = run(program, watching)
            again = WatchingPolicy(AnchoredPolicy(watching.sights().anchors))
            assert run(program, again) == order
            assert difference(watching.schedule(), again.schedule()) == ""


def test_decisions_are_the_questions_at_which_somebody_else_is_able() -> None:
    watching = WatchingPolicy(ReplayPolicy({}))
    assert run(TWO_BY_TWO, watching) == (0, 0, 1, 1)
    assert watching.sights().decisions == (Decision(0, 1), Decision(1, 1))
    assert watching.sights().events == (2, 2)
    assert watching.sights().anchors == ()


def encounters(*accesses: tuple[int, int, bool, str]) -> set[tuple[str, str]]:
    """Of accesses: thread, word, whether it writes, place."""
    watching = WatchingPolicy(make_policy("default", 1))
    for thread, word, write, place in accesses:
        watching.look(thread, word, write, place.__str__)
        watching.choose(Point.MEMORY_ACCESS, lambda thread=thread: [ThreadContext(4, thread, 0)])  # type: ignore[misc]  # a lambda with a default
    return set(watching.sights().encounters)


def test_an_encounter_is_of_two_threads_and_one_word_and_one_of_them_writes() -> None:
    assert encounters((8, 1, True, "a"), (12, 1, False, "b")) == {("a", "b")}
    assert encounters((8, 1, False, "a"), (12, 1, True, "b"), (8, 1, True, "a")) == {("a", "b"), ("b", "a")}
    assert encounters((8, 1, False, "a"), (12, 1, False, "b")) == set()
    assert encounters((8, 1, True, "a"), (8, 1, True, "b")) == set()
    assert encounters((8, 1, True, "a"), (12, 2, True, "b")) == set()
    assert encounters((8, 0, True, "a"), (12, 0, True, "b")) == set(), "a call is no access"


def events(pid: int, tid: int, image: str, *, swapped: bool = False) -> list[object]:
    begin = [ProcessCreate(index=0, pid=pid), ThreadCreate(index=1, pid=pid, tid=tid)]
    end = [ImageLoad(index=2, pid=pid, image=image), ProcessExit(index=3, pid=pid)]
    return [*(reversed(begin) if swapped else begin), ProcessCreate(index=9, pid=4444), *end]


def test_an_order_is_the_same_whatever_the_numbers_and_the_others() -> None:
    def digest(pid: int, tid: int, image: str, *, swapped: bool = False) -> str:
        return order_of(events(pid, tid, image, swapped=swapped), {pid})  # type: ignore[arg-type]  # events

    one = digest(100, 104, r"\Windows\System32\ntdll.dll")
    assert digest(200, 204, r"\Device\HarddiskVolume2\NTDLL.DLL") == one
    assert digest(100, 104, r"\Windows\System32\kernel32.dll") != one
    assert digest(100, 104, r"\Windows\System32\ntdll.dll", swapped=True) != one
