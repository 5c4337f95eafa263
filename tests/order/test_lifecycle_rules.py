"""Every lifecycle rule: traces that keep it, traces that break it, and what is said about those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from lives import born, died, thread, thread_end

from harness.callbacks import CALLBACK_KINDS
from harness.cli.check import command
from harness.errors import ScenarioError
from harness.events import Driver, Event, ImageLoad, Reboot
from harness.order import CheckResult, Lifecycle, check
from harness.order.lifecycle import MAX_VIOLATIONS
from harness.order.refutation import RuleBreach
from harness.order.result import Failure, Mark
from harness.order.rulebreach import refusal_of_breach
from harness.report.explanation import explanation_text
from harness.scenario import RULES, parse
from harness.trace import Header, TraceWriter

SECOND = 10_000_000
NONE = dict.fromkeys(CALLBACK_KINDS, 0)

# --- events, their index aside ---


def image(pid: int = 8, **more: int) -> Event:
    return ImageLoad(index=0, pid=pid, image=r"\Device\a.dll", base=0x1000, **more)


def entry(what: str = "CreateThread", status: int = 0, **more: int) -> Event:
    return Driver(index=0, function="DriverEntry", routine=f"PsSet{what}NotifyRoutine", status=status, **more)


def removal(what: str = "RemoveCreateThread", status: int = 0, **more: int) -> Event:
    return Driver(index=0, function="DriverUnload", routine=f"Ps{what}NotifyRoutine", status=status, **more)


def elsewhere(status: int = 0) -> Event:
    return Driver(index=0, function="Start", routine="PsSetCreateThreadNotifyRoutine", status=status)


def totals(counts: dict[str, int] = NONE, **more: int) -> Event:
    return Driver(index=0, function="DriverUnload", totals=counts, **more)


def numbered(*numbers: int, start: int = 0) -> list[Event]:
    """Images with these numbers, printed a millisecond apart."""
    return [image(seq=seq, time=start + place * 10_000) for place, seq in enumerate(numbers)]


# --- the table ---


@dataclass(frozen=True)
class Broken:
    events: list[Event]
    message: str
    before: int | None = 0
    """The event that the last one contradicts; ``<`` marks it."""


TABLE: dict[str, tuple[dict[str, list[Event]], dict[str, Broken]]] = {
    "process_created_once": (
        {"created again after its end": [born(), died(), born()], "two processes": [born(8), born(12)]},
        {
            "created twice": Broken([born(), born()], "process 8 is created again before it ended"),
            "with a thread between": Broken(
                [born(), thread(), born()], "process 8 is created again before it ended"
            ),
        },
    ),
    "process_created_first": (
        {
            "creation, thread, image": [born(), thread(), image()],
            "alive before the trace began": [thread(), image(), thread_end(), died(), born()],
        },
        {
            "a thread first": Broken([thread(), born()], "process 8 is created after it was already at work"),
            "an image first": Broken([image(), born()], "process 8 is created after it was already at work"),
            "another thread's end first": Broken(
                [thread_end(), born()], "process 8 is created after it was already at work"
            ),
        },
    ),
    "nothing_after_process_exit": (
        {
            "nothing more": [born(), died()],
            "created anew": [born(), died(), born(), thread()],
            "a driver's image": [died(), image(0)],
            "another process goes on": [born(), died(), thread(13, 12)],
        },
        {
            "a thread begins": Broken([died(), thread()], "process 8 has ended"),
            "a thread ends": Broken([died(), thread_end()], "process 8 has ended"),
            "an image": Broken([died(), image()], "process 8 has ended"),
            "it ends again": Broken([born(), died(), died()], "process 8 has ended", 1),
        },
    ),
    "thread_created_once": (
        {
            "created again after its end": [thread(), thread_end(), thread()],
            "again after its process": [born(), thread(), thread_end(), died(), thread(9, 12)],
        },
        {
            "created twice": Broken([thread(), thread()], "thread 9 is created again before it ended"),
            "created in another process": Broken(
                [thread(), thread(9, 12)], "thread 9 is created again before it ended"
            ),
        },
    ),
    "thread_created_before_exit": (
        {
            "created, ended": [born(), thread(), thread_end()],
            "of a process that was there before": [image(), thread_end()],
        },
        {
            "never created": Broken(
                [born(), thread_end()], "thread 9 of process 8 ends but was never created"
            ),
            "ended twice": Broken(
                [born(), thread(), thread_end(), thread_end()],
                "thread 9 of process 8 ends but was never created",
            ),
        },
    ),
    "thread_keeps_its_process": (
        {"ends where it began": [thread(9, 8), thread_end(9, 8)]},
        {
            "ends elsewhere": Broken(
                [thread(9, 8), thread_end(9, 12)], "thread 9 was created in process 8 and ends in 12"
            )
        },
    ),
    "threads_exit_before_process": (
        {
            "all ended": [born(), thread(9), thread(10), thread_end(10), thread_end(9), died()],
            "one of another process lives": [born(), thread(13, 12), died()],
        },
        {
            "one lives": Broken([born(), thread(), died()], "process 8 ends while its thread 9 lives", 1),
            "one lives, of a process that was there before": Broken(
                [thread(), died()], "process 8 ends while its thread 9 lives"
            ),
        },
    ),
    "thread_exit_context": (
        {
            "its own": [thread_end(9, context_pid=8, context_tid=9)],
            "not said": [thread_end()],
        },
        {
            "another's": Broken(
                [thread_end(9, context_pid=8, context_tid=10)],
                "the end of thread 9 is reported by thread 10",
                None,
            )
        },
    ),
    "process_exit_context": (
        {
            "its own": [born(), thread(), thread_end(), died(context_pid=8)],
            "not said": [died()],
            "it never had a thread": [born(), died(context_pid=4)],
            "an image of process 0": [image(0)],
        },
        {
            "another's": Broken(
                [born(), thread(), thread_end(), died(context_pid=4)],
                "the end of process 8 is reported by process 4",
            ),
            "another's, alive before the trace": Broken(
                [died(context_pid=4)], "the end of process 8 is reported by process 4", None
            ),
            "process 0": Broken([died(0)], "process 0, the idle process, never ends", None),
        },
    ),
    "callbacks_only_while_registered": (
        {
            "registered": [entry(), thread(), removal()],
            "removed, a late line": [entry(seq=1), removal(seq=3), thread(seq=2)],
            "removed, another kind": [entry(), removal(), image(), born(12), died(12)],
            "removal of processes, which does not wait": [
                entry("CreateProcess"),
                removal("SetCreateProcess"),
                born(),
            ],
            "a removal that failed": [entry(), removal(status=0xC000007A), thread()],
            "refused, then registered": [entry(status=0xC000009A), entry(), thread()],
            "refused, the driver unloaded, loaded again": [
                entry(status=0xC000009A),
                totals(),
                entry(),
                thread(),
            ],
            "a second routine refused": [entry(), entry(status=0xC0000022), thread()],
            "refused, by a driver that tells of failures alone": [
                entry("CreateProcess", 0xC0000022),
                born(),
            ],
            "one of two removed": [entry(), entry(), removal(), thread()],
            "a removal that failed in DriverEntry": [
                entry(),
                Driver(
                    index=0,
                    function="DriverEntry",
                    routine="PsRemoveCreateThreadNotifyRoutine",
                    status=0xC000007A,
                ),
                thread(),
            ],
            "registered by another function": [entry("LoadImage"), elsewhere(), thread()],
            "a second routine refused elsewhere": [entry("LoadImage"), elsewhere(0xC0000022), thread()],
        },
        {
            "threads removed": Broken([removal(), thread()], "the callback is not registered any more"),
            "threads removed, a later number": Broken(
                [removal(seq=1), thread_end(seq=2)], "the callback is not registered any more"
            ),
            "images removed": Broken(
                [removal("RemoveLoadImage"), image()], "the callback is not registered any more"
            ),
            "processes refused": Broken(
                [entry("CreateProcess", 0xC000009A), entry(), born()],
                "the callback is not registered any more",
            ),
            "images refused": Broken(
                [entry("LoadImage", 0xC000009A), entry(), image()], "the callback is not registered any more"
            ),
            "the second of two removed": Broken(
                [entry(), entry(), removal(), removal(), thread()],
                "the callback is not registered any more",
                3,
            ),
        },
    ),
    "driver_unregisters": (
        {
            "all removed": [
                entry("CreateProcess"),
                entry("CreateThread"),
                entry("LoadImage"),
                removal("RemoveLoadImage"),
                removal("RemoveCreateThread"),
                removal("SetCreateProcess"),
                totals(),
            ],
            "nothing registered": [totals()],
            "refused": [entry(status=0xC000009A), totals()],
            "still loaded": [entry()],
        },
        {
            "threads left": Broken(
                [entry(), totals()], "the driver unloads with its thread callback still registered"
            ),
            "images left": Broken(
                [entry("LoadImage"), totals()],
                "the driver unloads with its image callback still registered",
            ),
            "processes left, threads removed": Broken(
                [entry("CreateProcess"), entry(), removal(), totals()],
                "the driver unloads with its process callback still registered",
            ),
            "the removal failed": Broken(
                [entry(), removal(status=0xC000007A), totals()],
                "the driver unloads with its thread callback still registered",
            ),
        },
    ),
    "seq_unique": (
        {
            "one after the other": numbered(1, 2, 3),
            "out of order": numbered(1, 2, 6, 4, 3, 5, 7),
            "the first is late": numbered(2, 1, 3),
            "from the middle": numbered(500, 499, 502, 501),
            "a number that never comes": numbered(1, 3, 4),
            "no numbers": [image(), image()],
            "loaded again": [*numbered(1, 2, 3), totals(seq=4, time=SECOND), *numbered(1, 2, start=SECOND)],
            "loaded again, no totals": [*numbered(1, 2, 3), *numbered(1, 2, 3, start=SECOND)],
            "refused at load, tried again": [
                entry(status=0xC000009A, seq=1, time=0),
                entry(status=0xC000009A, seq=1, time=SECOND),
            ],
            "from the middle, loaded again": [*numbered(3, 4), *numbered(1, 2, 3, 4, start=2 * SECOND)],
            "numbers without times, loaded again": [image(seq=1), image(seq=2), image(seq=1), image(seq=2)],
            "from 0": numbered(0, 1, 2, 3),
            "from 0, out of order": numbered(1, 0, 3, 2),
            "from 0, loaded again": [*numbered(0, 1, 2), *numbered(0, 1, 2, start=SECOND)],
            "from 0, loaded again in another order": [
                *numbered(0, 1, 2),
                *numbered(0, 2, 1, start=2 * SECOND),
            ],
        },
        {
            "the same line again": Broken(numbered(1, 2, 2), "seq 2 is the number of an earlier line too", 1),
            "an earlier line again": Broken(
                numbered(1, 2, 3, 2), "seq 2 is the number of an earlier line too", 1
            ),
            "an earlier line again, from 0": Broken(
                numbered(0, 1, 2, 3, 2), "seq 2 is the number of an earlier line too", 2
            ),
            "the second line again, from 0": Broken(
                numbered(0, 1, 2, 1), "seq 1 is the number of an earlier line too", 1
            ),
            "the 0 again": Broken(
                [image(seq=seq, time=0) for seq in (0, 1, 2, 0)],
                "seq 0 is the number of an earlier line too",
                0,
            ),
            "a late line again": Broken(
                numbered(1, 3, 2, 2), "seq 2 is the number of an earlier line too", 2
            ),
            "the first line again": Broken(
                [image(seq=1, time=0), image(seq=2, time=0), image(seq=1, time=0)],
                "seq 1 is the number of an earlier line too",
            ),
            "a counter that stands still": Broken(
                numbered(1, 1), "seq 1 is the number of an earlier line too"
            ),
            "a counter that stands still in the second load": Broken(
                [*numbered(1, 2), *numbered(1, 2, 2, start=SECOND)],
                "seq 2 is the number of an earlier line too",
                3,
            ),
            "without a time": Broken(
                [image(seq=5), image(seq=5)], "seq 5 is the number of an earlier line too"
            ),
        },
    ),
    "time_follows_seq": (
        {
            "later and later": [image(seq=1, time=0), image(seq=2, time=5), image(seq=3, time=5)],
            "a second's slack, from 0": [image(seq=0, time=SECOND), image(seq=1, time=0)],
            "a second's slack": [image(seq=1, time=SECOND), image(seq=2, time=0)],
            "a late line with an early time": [
                image(seq=1, time=0),
                image(seq=3, time=5 * SECOND),
                image(seq=2, time=0),
            ],
            "no time": [image(seq=1, time=5 * SECOND), image(seq=2)],
            "the clock of the second load": [*numbered(1, 2, start=5 * SECOND), *numbered(1, 2)],
        },
        {
            "more than a second": Broken(
                [image(seq=1, time=SECOND + 1), image(seq=2, time=0)],
                "seq 2 has time 0, before 10000001",
            ),
            "more than a second, from 0": Broken(
                [image(seq=0, time=SECOND + 1), image(seq=1, time=0)],
                "seq 1 has time 0, before 10000001",
            ),
            "against the latest, not the last": Broken(
                [
                    image(seq=1, time=0),
                    image(seq=2, time=2 * SECOND),
                    image(seq=3, time=2 * SECOND - 1),
                    image(seq=4, time=SECOND - 1),
                ],
                "seq 4 has time 9999999, before 20000000",
                1,
            ),
            "in the second load": Broken(
                [
                    *numbered(1, 2, 3),
                    totals(seq=4, time=SECOND),
                    image(seq=1, time=5 * SECOND),
                    image(seq=2, time=2 * SECOND),
                ],
                "seq 2 has time 20000000, before 50000000",
                4,
            ),
        },
    ),
}

LINES_LOST = "no_lost_lines"
OUTSIDE = {LINES_LOST, "totals_count_every_line"}
"""Not held by the fold but by the verdict: the driver's counters are counted there."""

KEPT = [pytest.param(r, e, id=f"{r}: {name}") for r, (kept, _) in TABLE.items() for name, e in kept.items()]
BROKEN = [
    pytest.param(r, b, id=f"{r}: {name}") for r, (_, broken) in TABLE.items() for name, b in broken.items()
]


def placed(events: list[Event]) -> list[Event]:
    return [
        msgspec.structs.replace(event, index=n, line=f"{type(event).__name__} {n}")
        for n, event in enumerate(events)
    ]


def judge(events: list[Event], off: str = "") -> CheckResult:
    text = "scenario: t\nsummary: t.\nexpect:\n  never: [bugcheck: any]\n"
    if off:
        text += f"lifecycle: {{off: [{off}]}}\n"
    return check(parse(text, Path("t.yaml")), placed(events), {})


def test_the_table_has_a_kept_and_a_broken_trace_for_every_rule() -> None:
    assert {*TABLE, *OUTSIDE} == set(RULES)
    assert all(kept and broken for kept, broken in TABLE.values())


@pytest.mark.parametrize(("rule", "events"), KEPT)
def test_a_trace_that_keeps_the_rule(rule: str, events: list[Event]) -> None:
    assert not judge(events).violations


@pytest.mark.parametrize(("rule", "broken"), BROKEN)
def test_a_trace_that_breaks_the_rule(rule: str, broken: Broken) -> None:
    result = judge(broken.events)
    culprit = len(broken.events) - 1
    assert not result.passed
    assert [(v.rule, v.index, v.message) for v in result.violations] == [(rule, culprit, broken.message)]
    assert result.reason == f"{rule}: {broken.message}"
    said = explanation_text(result, result.reason).splitlines()
    assert any(f"{RULES[rule].sentence.rstrip('.')}; but {broken.message}" in line for line in said)
    assert f"  source: {RULES[rule].source}" in said
    assert f"  switch it off with: lifecycle: {{off: [{rule}]}}" in said
    (failure,) = result.failures
    marked = {row.mark: row.event.index for row in failure.explanation.rows}
    earlier = {} if broken.before is None else {Mark.EARLIER: broken.before}
    assert marked == {Mark.BREAKING: culprit, **earlier}
    last = [line.partition("breaks it")[2].strip() for line in said if "breaks it" in line]
    assert last == [f"{type(broken.events[-1]).__name__} {culprit}"]
    proof = failure.explanation.proof
    assert isinstance(proof, RuleBreach)
    assert refusal_of_breach(proof, placed(broken.events)) == ""
    assert refusal_of_breach(replace(proof, index=culprit + 1), placed(broken.events))


@pytest.mark.parametrize(("rule", "broken"), BROKEN)
def test_a_rule_that_is_switched_off_is_not_held(rule: str, broken: Broken) -> None:
    result = judge(broken.events, off=rule)
    assert not result.broken, explanation_text(result)
    assert not result.violations


@pytest.mark.parametrize(("rule", "broken"), BROKEN)
def test_a_rule_that_is_switched_off_leaves_the_others(rule: str, broken: Broken) -> None:
    others = ", ".join(other for other in RULES if other != rule)
    assert [violation.rule for violation in judge(broken.events, off=others).violations] == [rule]


def test_to_switch_off_what_is_no_rule_is_an_error_with_its_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        judge([born()], off="process_created_once, thread_exits_in_context")
    assert str(caught.value) == (
        "t.yaml:5: unknown lifecycle rule 'thread_exits_in_context'; did you mean 'thread_exit_context'?"
    )


def test_all_that_broke_is_said_and_the_first_comes_first() -> None:
    result = judge([born(), born(), thread_end(9, context_tid=10)])
    rules = ["process_created_once", "thread_created_before_exit", "thread_exit_context"]
    assert [violation.rule for violation in result.violations] == rules
    assert result.reason.startswith("process_created_once: ")
    assert "\n\nthread_created_before_exit: thread 9 of process 8" in explanation_text(result)


class Counted:
    """Events, and how often they were gone over."""

    def __init__(self, events: list[Event]) -> None:
        self.passes = 0
        self._events = events

    def __iter__(self) -> Iterator[Event]:
        self.passes += 1
        return iter(self._events)


def test_however_many_rules_are_broken_the_trace_is_gone_over_four_times() -> None:
    """Once to check it, once for the numbers that came twice, once for what is shown of it, once for the
    processes of that."""
    twice = [event for n in range(8) for event in (image(seq=n + 1, time=n), image(8, seq=n + 1, time=n))]
    events = Counted([msgspec.structs.replace(e, index=n, line=f"{n}") for n, e in enumerate(twice)])
    rules = parse("scenario: t\nsummary: t.\nexpect:\n  order: [image_load: any]\n", Path("t.yaml"))
    result = check(rules, events, {})
    assert [violation.index for violation in result.violations] == [1, 3, 5, 7, 9, 11, 13, 15]
    marks = [
        [(row.event.index, row.mark) for row in failure.explanation.around if row.mark is not None]
        for failure in result.failures
    ]
    assert marks == [[(n - 1, Mark.EARLIER), (n, Mark.BREAKING)] for n in range(1, 16, 2)]
    assert events.passes == 4


def test_an_event_that_breaks_two_rules_contradicts_an_earlier_one_by_each() -> None:
    result = judge([*numbered(1, 2, 3), died(8), image(8, seq=2, time=30_000)])
    assert [(f.violation.rule, _earlier(f)) for f in result.failures if f.violation is not None] == [
        ("seq_unique", [1]),
        ("nothing_after_process_exit", [3]),
    ]


def _earlier(failure: Failure) -> list[int]:
    return [row.event.index for row in failure.explanation.around if row.mark is Mark.EARLIER]


def test_another_boot_of_the_target_begins_anew() -> None:
    before = [image(12, seq=1, time=9 * SECOND), born(), thread()]
    after = [image(12, seq=2, time=SECOND), born(), thread()]
    assert judge([*before, Reboot(index=0), *after]).violations == ()
    assert judge([*before, *after]).violations != ()


def load(*events: Event) -> list[Event]:
    """What is told between a load of the driver and its end."""
    begins = [entry("CreateProcess"), entry(), entry("LoadImage")]
    ends = [removal("RemoveLoadImage"), removal(), removal("SetCreateProcess")]
    return [*begins, *events, *ends]


UNTOLD: dict[str, tuple[list[Event], list[Event]]] = {
    "a process ended, its ID was given again": (
        [born(), thread(), image()],
        [born(), thread(), thread_end(), died()],
    ),
    "a process was at work before both loads": ([image()], [born(), thread(), thread_end(), died()]),
    "a thread began": ([born(), thread()], [thread_end(10), thread_end(), died()]),
    "a thread ended": ([born(), thread()], [died()]),
    "a thread ended, its ID was given again": ([thread()], [thread()]),
    "the ID of a thread was given to another process": ([thread(9, 8)], [thread_end(9, 12)]),
    "the ID of a process was given again": ([born(), died()], [image(), thread_end(), died()]),
}
"""What happens while the driver is not loaded → what it tells of before and after that."""


@pytest.mark.parametrize("end", [[], [totals()]], ids=["", "totals"])
@pytest.mark.parametrize("before", UNTOLD)
def test_what_happens_while_the_driver_is_not_loaded_is_no_fault_of_it(before: str, end: list[Event]) -> None:
    first, second = UNTOLD[before]
    assert judge([*load(*first), *end, *load(*second)]).violations == ()
    assert judge([*load(*first)[:-3], *load(*second)]).violations == (), "no line about the removal"


def test_a_number_that_begins_anew_tells_of_another_load() -> None:
    for first, second in UNTOLD.values():
        loads = [
            [msgspec.structs.replace(event, seq=n, time=start + n) for n, event in enumerate(events, 1)]
            for start, events in ((0, [image(12), *first, image(12)]), (SECOND, [image(12), *second]))
        ]
        assert judge([event for events in loads for event in events]).violations == ()


def test_the_line_that_begins_another_load_is_held_to_nothing_before_it() -> None:
    events = placed(
        [
            image(12, seq=1, time=0),
            image(12, seq=2, time=0),
            died(seq=3, time=0),
            died(seq=1, time=5 * SECOND, context_pid=4),
        ]
    )
    (failure,) = judge(events).failures
    assert failure.explanation is not None
    proof = failure.explanation.proof
    assert proof == RuleBreach("process_exit_context", 3, None, "")
    assert isinstance(proof, RuleBreach)
    assert refusal_of_breach(proof, events) == ""


def test_a_second_load_is_held_to_the_rules_by_itself() -> None:
    first = [*load(born(), thread(), thread_end(), died()), totals()]
    for rule in ("process_created_once", "threads_exit_before_process", "thread_created_before_exit"):
        (broken, *_) = (broken for broken in TABLE[rule][1].values())
        assert [v.rule for v in judge([*first, *load(*broken.events)]).violations] == [rule]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [entry("CreateProcess"), born(), entry(), thread_end(), died()], id="threads registered later"
        ),
        pytest.param(
            [
                entry("CreateProcess", seq=1),
                entry(seq=3),
                born(seq=2),
                thread_end(seq=4),
                died(seq=5),
            ],
            id="threads registered later, a late line",
        ),
        pytest.param([*load(born(), thread())[:-1], died()], id="threads removed first"),
        pytest.param(
            [
                *load(born(), thread(), thread_end(), died())[:-3],
                removal("SetCreateProcess"),
                thread(),
                image(),
            ],
            id="processes removed first, the ID given again",
        ),
    ],
)
def test_nothing_is_held_against_what_a_routine_that_is_not_registered_was_not_told(
    events: list[Event],
) -> None:
    assert judge(events).violations == ()


def test_violations_beyond_a_number_are_not_kept() -> None:
    lifecycle = Lifecycle()
    lifecycle.feed([born()] * (MAX_VIOLATIONS + 5))
    assert len(lifecycle.violations) == MAX_VIOLATIONS


LOST = [born(seq=1), died(seq=3)]
COMPLETE = [born(seq=1), image(seq=2), died(seq=3)]


@pytest.mark.parametrize(
    ("events", "off", "code"),
    [
        pytest.param(COMPLETE, "", 0, id="complete"),
        pytest.param(LOST, "", 3, id="a number is missing"),
        pytest.param([entry(seq=1), removal(seq=2), totals(NONE | {"thread_exit": 1})], "", 3, id="counted"),
        pytest.param(LOST, LINES_LOST, 0, id="switched off"),
    ],
)
def test_a_trace_with_lost_lines_is_not_judged(
    tmp_path: Path, events: list[Event], off: str, code: int
) -> None:
    scenario, trace = tmp_path / "t.yaml", tmp_path / "t.jsonl"
    text = "scenario: t\nsummary: t.\nexpect:\n  never: [bugcheck: any]\n"
    scenario.write_text(text + (f"lifecycle: {{off: [{off}]}}\n" if off else ""), encoding="utf-8")
    with TraceWriter(trace, Header()) as writer:
        writer.write(msgspec.structs.replace(event, index=n) for n, event in enumerate(events))
        writer.finish()
    result = CliRunner().invoke(command, [str(trace), str(scenario)])
    assert result.exit_code == code, result.output
    if code == 3:
        assert result.stderr.startswith(f"procnotify: {trace}: ")
        assert result.stdout == ""
