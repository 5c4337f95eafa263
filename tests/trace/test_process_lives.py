"""Which process an event is about, and which events are wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.events import Event, ImageLoad, Print, ProcessCreate, ProcessExit, Reboot, ThreadCreate
from harness.trace import lives as lives_module
from harness.trace.choice import Bound, Choice, parse_bound
from harness.trace.lives import MAX_NAME, Lives, Moment


def taken(*events: Event) -> Lives:
    lives = Lives()
    for event in events:
        lives.take(event)
    return lives


def test_a_pid_that_is_given_again_is_another_process() -> None:
    lives = taken(
        ProcessCreate(index=0, pid=8, parent_pid=4, time=10),
        ProcessExit(index=1, pid=8, time=30),
        ProcessCreate(index=2, pid=8, parent_pid=4),
    )
    parent, *both = sorted(lives.all, key=lambda life: life.pid)
    assert [(life.created, life.ended, life.duration) for life in both] == [
        (Moment(0, 10), Moment(1, 30), 20),
        (Moment(2, None), None, None),
    ]
    assert (parent.pid, parent.created) == (4, None)
    assert {life.parent for life in both} == {parent}


def test_after_a_boot_every_pid_means_something_else() -> None:
    lives = taken(ProcessCreate(index=0, pid=8), Reboot(index=1), ThreadCreate(index=2, pid=8, tid=12))
    assert [(life.pid, life.boot) for life in lives.all] == [(8, 0), (8, 1)]
    assert lives.boots == 2


@pytest.mark.parametrize(
    ("events", "program"),
    [
        ([ProcessCreate(index=0, pid=8, image=r"\??\C:\a b\x.exe")], "x.exe"),
        ([ProcessCreate(index=0, pid=8), ImageLoad(index=1, pid=8, image=r"\D\y.scr")], "y.scr"),
        ([ImageLoad(index=0, pid=8, image=r"\D\winmm.dll")], ""),
        ([ImageLoad(index=0, pid=8, image=r"\D\Z.EXE")], "Z.EXE"),
        ([ProcessExit(index=0, pid=8, image="e.exe")], "e.exe"),
        (
            [ImageLoad(index=0, pid=8, image="early.exe"), ProcessCreate(index=1, pid=8, image="x.exe")],
            "x.exe",
        ),
        ([ProcessCreate(index=0, pid=8, image="n" * 32767)], "n" * MAX_NAME),
    ],
)
def test_the_program_of_a_process(events: list[Event], program: str) -> None:
    lives = taken(*events)
    assert [life.program for life in lives.all] == [program]


def test_processes_beyond_the_limit_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives_module, "MAX_LIVES", 2)
    lives = taken(*(ProcessCreate(index=number, pid=number + 1) for number in range(5)))
    assert ([life.pid for life in lives.all], lives.beyond) == ([1, 2], 3)


_PIDS = st.integers(0, 3)
_EVENTS = st.one_of(
    st.builds(ProcessCreate, index=st.just(0), pid=_PIDS, parent_pid=st.none() | _PIDS),
    st.builds(ProcessExit, index=st.just(0), pid=_PIDS),
    st.builds(ImageLoad, index=st.just(0), pid=_PIDS),
    st.builds(Reboot, index=st.just(0)),
)


@given(st.lists(_EVENTS, max_size=40))
def test_nobody_descends_from_himself_whatever_the_recording_says(events: list[Event]) -> None:
    for life in taken(*events).all:
        seen = {life}
        above = life.parent
        while above is not None:
            assert above not in seen
            assert above.boot == life.boot
            seen.add(above)
            above = above.parent


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("812", Bound(812, None)),
        ("30.0000871s", Bound(None, 300_000_871)),
        ("1.5ms", Bound(None, 15_000)),
        ("2us", Bound(None, 20)),
        ("1h", Bound(None, 36_000_000_000)),
    ],
)
def test_a_bound(text: str, bound: Bound) -> None:
    assert parse_bound(text) == bound


@pytest.mark.parametrize("text", ["", "-1", "1.5", "s", "1 s", "1d", "٣", "9" * 30])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(UsageError, match="neither an index nor a time"):
        parse_bound(text)


EVENTS: list[Event] = [
    ProcessCreate(index=0, pid=8, time=100),
    ThreadCreate(index=1, pid=8, tid=12, time=110),
    ImageLoad(index=2, pid=8, image=r"\D\Note.exe", time=120),
    Print(index=3, line="hello"),
    ImageLoad(index=4, pid=16, image=r"\D\[x].dll", time=130),
    ProcessExit(index=5, pid=8, time=140),
]


@pytest.mark.parametrize(
    ("choice", "indices"),
    [
        (Choice(), [0, 1, 2, 3, 4, 5]),
        (Choice(processes=("note.EXE",)), [0, 1, 2, 5]),
        (Choice(processes=("note",)), [0, 1, 2, 5]),
        (Choice(processes=("16", "8")), [0, 1, 2, 4, 5]),
        (Choice(processes=("dll",)), []),
        (Choice(kinds=("print", "process_exit")), [3, 5]),
        (Choice(image="*.DLL"), [4]),
        (Choice(image=r"\d\note.*"), [2]),
        (Choice(image="[[]x].dll"), [4]),
        (Choice(first=Bound(2, None), last=Bound(4, None)), [2, 3, 4]),
        (Choice(first=Bound(None, 120), last=Bound(None, 130)), [2, 4]),
        (Choice(processes=("8",), kinds=("image_load",), image="*.exe", last=Bound(2, None)), [2]),
    ],
)
def test_a_choice(choice: Choice, indices: list[int]) -> None:
    assert [event.index for event, _ in choice.of(EVENTS, Lives())] == indices
