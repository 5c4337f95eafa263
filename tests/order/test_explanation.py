"""An explanation as values: the sentence, a status a promise, the lanes, and what is folded."""

from __future__ import annotations

import pytest
from scenarios_of import judge

from harness.events import Call, Driver, Event, ImageLoad, Print, ThreadCreate, ThreadExit
from harness.order.callbackname import callback_of, callback_of_kinds
from harness.order.result import Explanation, Mark, Status


def explained(expect: str, trace: str) -> Explanation:
    (failure,) = judge(expect, trace).failures
    return failure.explanation


def statuses(explanation: Explanation) -> list[tuple[int, Status, int | None]]:
    return [(said.line, said.status, said.index) for said in explanation.promises]


ONE = "  - process_create: {pid: 1}\n  - process_exit: {pid: 1}\n"
ORDER = """
order:
  - process_create: {pid: 1}
  - never: {process_create: {pid: 3}}
  - process_exit: {pid: 1}
  - process_create: {pid: 2}
"""


def test_a_promise_held_one_found_too_early_and_one_not_reached() -> None:
    said = explained(ORDER, "X1 C1 C2 X2")
    assert statuses(said) == [
        (8, Status.HELD, 1),
        (9, Status.NOT_REACHED, None),
        (10, Status.MISPLACED, 0),
        (11, Status.NOT_REACHED, None),
    ]
    assert said.contradiction == (
        "process_exit {pid: 1} must come after event 1, because line 10 follows line 8, which that event"
        " stands for; but event 0, which fits, came before event 1"
    )


def test_a_gap_that_something_forbidden_came_in() -> None:
    said = explained(ORDER, "C1 C3 X1 C2")
    assert statuses(said)[:3] == [(8, Status.HELD, 0), (9, Status.CAME, 1), (10, Status.MISPLACED, 2)]
    assert said.contradiction.endswith(
        "event 1 may not come before it: line 9 forbids process_create {pid: 3}"
    )
    assert [(row.event.index, row.mark, row.line) for row in said.rows] == [
        (0, Mark.CLAIMED, 8),
        (1, Mark.BREAKING, 9),
        (2, Mark.NEAREST, 10),
    ]


def test_what_may_be_missing_has_no_status_and_what_was_needed_has() -> None:
    optional = "  - optional: {process_create: {pid: 2}}\n"
    said = explained(
        f"order:\n  - process_create: {{pid: 1}}\n{optional}  - process_exit: {{pid: 1}}\n", "C1 X3"
    )
    assert statuses(said) == [(8, Status.HELD, 0), (10, Status.NOT_FOUND, 1)]
    assert said.promises[1].why == "pid is 3, expected 1"


GUARDED = "[{process_create: {pid: %d}}, {never: {process_create: {pid: 3}}}, {process_exit: {pid: %d}}]"


@pytest.mark.parametrize(
    ("order", "trace", "expected"),
    [
        (
            [f"any_order: [{GUARDED % (1, 1)}, {{process_create: {{pid: 2}}}}]"],
            "C3 C2",
            [Status.NOT_FOUND, Status.NOT_REACHED, Status.NOT_REACHED, Status.HELD],
        ),
        (
            [f"any_order: [{GUARDED % (1, 1)}, {{process_create: {{pid: 2}}}}]"],
            "C3 C1 X1",
            [Status.HELD, Status.HELD, Status.HELD, Status.NOT_FOUND],
        ),
        (
            [f"optional: {GUARDED % (5, 5)}", "process_create: {pid: 2}", "process_exit: {pid: 2}"],
            "C3 C2",
            [Status.HELD, Status.NOT_FOUND],
        ),
        (
            [f"optional: {GUARDED % (5, 5)}", "process_exit: {pid: 2}"],
            "C3",
            [Status.NOT_FOUND],
        ),
        (
            [f"optional: {GUARDED % (5, 5)}", "process_exit: {pid: 2}"],
            "C5 C3 X5",
            [Status.HELD, Status.CAME, Status.MISPLACED, Status.NOT_REACHED],
        ),
        (
            ["one_of: [{process_create: {pid: 1}}, {process_create: {pid: 2}}]", "process_exit: {pid: 4}"],
            "C1 C2",
            [Status.HELD, Status.NOT_FOUND],
        ),
        (
            ["process_create: {pid: 1}", f"one_of: [{GUARDED % (2, 2)}, {GUARDED % (4, 4)}]"],
            "C1",
            [Status.HELD, *[Status.NOT_FOUND, Status.NOT_REACHED, Status.NOT_REACHED] * 2],
        ),
        (
            [
                "process_create: {pid: 1}",
                "never: {process_create: {pid: 3}}",
                "optional: {process_create: {pid: 4}}",
                "process_exit: {pid: 1}",
                "process_exit: {pid: 2}",
            ],
            "C1 X1",
            [Status.HELD, Status.HELD, Status.HELD, Status.NOT_FOUND],
        ),
    ],
)
def test_only_what_was_asked_for_and_came_to_be_asked_for_has_held(
    order: list[str], trace: str, expected: list[Status]
) -> None:
    said = explained("order:\n" + "".join(f"  - {item}\n" for item in order), trace)
    assert [promise.status for promise in said.promises] == expected


def test_everything_else_is_folded_and_counted() -> None:
    said = explained(
        "order:\n  - process_create: {pid: 1}\n  - process_exit: {pid: 1}\n", f"{'C2 X2 ' * 50}C1{' C3' * 9}"
    )
    assert [(row.event.index, row.folded) for row in said.rows] == [(1, 1), (100, 98)]
    assert said.folded_after == 9
    assert [lane.pid for lane in said.lanes] == [2, 1]


def test_of_a_long_order_the_last_events_are_shown() -> None:
    items = "".join(f"  - process_create: {{pid: {n}}}\n" for n in range(1, 21))
    said = explained(
        f"order:\n{items}  - process_exit: {{pid: 1}}\n", " ".join(f"C{n}" for n in range(1, 21))
    )
    assert [row.event.index for row in said.rows] == list(range(12, 20))
    assert said.rows[0].folded == 12


NAMED = {
    "[procnotify] OnCreateProcess PID(4) was terminated {seq=1}": "OnCreateProcess",
    "MyDriver!ProcessNotifyRoutineEx: 4": "ProcessNotifyRoutineEx",
    "ThreadCallback(4)": "ThreadCallback",
    "[ProcNotify] created 4": "",
    "Only 4 processes": "",
    r"loaded C:\NotifyMe.dll": "",
    r"loaded \Device\HarddiskVolume3\OnScreenKeyboard\osk.dll": "",
    r"loaded C:\Windows\WpnUserNotifyService\x.dll": "",
    r"loaded C:\Program Files\A OnScreenKeyboard B\x.dll": "",
    "loaded C:/OnScreenKeyboard/x.dll": "",
    "loaded 'OnScreenKeyboard' twice": "",
    r"OnLoadImage PID(4) loaded \Device\OnScreenKeyboard\osk.dll": "OnLoadImage",
}


@pytest.mark.parametrize("line", NAMED)
def test_the_function_that_a_line_names(line: str) -> None:
    assert callback_of(Print(index=0, line=line)) == NAMED[line]


@pytest.mark.parametrize("image", ["OnScreenKeyboard", r"My OnScreenKeyboard dir\x.dll"])
def test_an_image_names_no_function(image: str) -> None:
    assert callback_of(ImageLoad(index=0, pid=4, image=image, line=f"PID 4 loaded {image}")) == ""
    told = ImageLoad(index=0, pid=4, image=image, line=f"OnLoadImage PID 4 loaded {image}")
    assert callback_of(told) == "OnLoadImage"


def test_the_function_of_events_without_such_a_line() -> None:
    assert callback_of(Driver(index=0, function="DriverEntry")) == "DriverEntry"
    assert (
        callback_of(ThreadExit(index=0, pid=1, tid=2, call=Call(driver="a.sys", routine=16))) == "a.sys+0x10"
    )


def test_what_never_came_is_of_the_function_that_tells_of_its_like() -> None:
    events: list[Event] = [
        Print(index=0, line="OnUnload"),
        ThreadCreate(index=1, pid=1, tid=2, line="OnCreateThread TID(2)"),
    ]
    assert callback_of_kinds([ThreadExit], events) == "OnCreateThread"
    events.append(ThreadExit(index=2, pid=1, tid=2, line="OnExitThread TID(2)"))
    assert callback_of_kinds([ThreadExit], events) == "OnExitThread"


def test_what_does_not_matter_was_tried() -> None:
    """No exit came after the creation of 2, of whatever process; that one of 1 came before it does."""
    said = explained("order:\n  - process_create: {pid: 2}\n  - process_exit: {pid: 1}\n", "C1 X1 C2")
    assert said.irrelevant == ("any pid on line 9",)
    said = explained("order:\n  - process_create: {pid: 2}\n  - process_exit: {pid: 1}\n", "C1 C2 X2")
    assert said.irrelevant == ("the other lines, for line 9 alone is not found either",)


def test_a_field_that_binds_what_is_forbidden_is_not_said_to_be_irrelevant() -> None:
    ends = "process_exit: {pid: $p}"
    order = f"order:\n  - process_create: {{pid: 2}}\n  - {ends}\n  - never: {{{ends}}}\n"
    assert "any pid" not in "".join(explained(order, "X1 C2").irrelevant)


@pytest.mark.parametrize(
    ("order", "trace", "sentence"),
    [
        (
            "[process_exit: {pid: 1}]",
            "C1",
            "must come, because line 7 asks for it; but no event of that kind",
        ),
        (
            "[any_order: [{process_create: {pid: 1}}, {process_exit: {pid: 1}}]]",
            "C1",
            "process_exit {pid: 1} must come, because line 7 asks for it",
        ),
        (
            "[{repeat: {of: [{process_create: {pid: $p}}, {process_exit: {pid: $p}}], min: 2}}]",
            "C1 X1",
            "process_create {pid: $p} must come after event 1, because line 7 comes again after line 7",
        ),
        (
            "[{repeat: {of: {process_create: {pid: 1}}, min: 3}}]",
            "C1 C1",
            "because line 7 comes again after line 7, which that event stands for; but no further event of"
            " that kind came",
        ),
        (
            "[{process_create: {pid: 1}}, {process_create: {pid: 2}}]",
            "C1 X1",
            "which that event stands for; but no further event of that kind came",
        ),
    ],
)
def test_the_sentence_says_only_what_must_be(order: str, trace: str, sentence: str) -> None:
    assert sentence in explained(f"order: {order}\n", trace).contradiction
