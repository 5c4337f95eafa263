"""Roles in place of numbers."""

from __future__ import annotations

from launches import indexed, launch

import harness.mining.roles as roles
from harness.events import Event, ImageLoad, Marker, ProcessCreate, ThreadCreate, ThreadExit
from harness.mining.roles import EventName, named


def names(events: list[Event], root: int | None) -> list[str]:
    return [str(event.name) for event in named(events, root)[0]]


def test_a_process_and_its_threads_and_images() -> None:
    events = launch("+ t a.exe NTDLL.dll t b.dll b.dll x2 x1 -")
    assert names(events, 1000) == [
        "process_create",
        "thread_create:thread1",
        "image_load:a.exe",
        "image_load:ntdll.dll",
        "thread_create:thread2",
        "image_load:b.dll",
        "image_load:b.dll#2",
        "thread_exit:thread2",
        "thread_exit:thread1",
        "process_exit",
    ]
    assert [event.by for event in named(events, 1000)[0]] == [
        *("parent", "parent", "thread1", "thread1", "thread1", "thread1", "thread1", "thread2", "thread1"),
        "thread1",
    ]


def test_the_numbers_do_not_matter() -> None:
    words = "+ t a.exe t b.dll x2 x1 -"
    assert names(launch(words, 1000, parent=8), 1000) == names(launch(words, 7777, parent=12), 7777)


def test_another_process_goes_by_its_program_and_the_second_of_one_says_so() -> None:
    child = launch("+ t c.exe d.dll -", 2000, parent=1000)
    events = [*launch("+ t a.exe")[:3], *child, *launch("+ t c.exe", 3000, parent=1000)]
    assert names(events, 1000)[3:] == [
        "process_create:c.exe",
        "thread_create:c.exe/thread1",
        "image_load:c.exe/c.exe",
        "image_load:c.exe/d.dll",
        "process_exit:c.exe",
        "process_create:c.exe#2",
        "thread_create:c.exe#2/thread1",
        "image_load:c.exe#2/c.exe",
    ]
    assert named(events, 1000)[0][6].by == "c.exe/thread1"


def test_in_a_window_every_process_goes_by_its_program_and_markers_by_their_action() -> None:
    events = [Marker(index=0, action="launch", phase="begin", step=3, pid=9), *launch("+ t a.exe -")]
    assert names(events, None) == [
        "marker:launch/begin",
        "process_create:a.exe",
        "thread_create:a.exe/thread1",
        "image_load:a.exe/a.exe",
        "process_exit:a.exe",
    ]


def test_a_process_that_began_outside_is_counted_and_left_out() -> None:
    found, outside = named([*launch("+ t a.exe -"), *launch("t b.dll", 2000)], None)
    assert (len(found), outside) == (4, 2)


def test_a_thread_that_was_not_seen_created_and_an_actor_from_elsewhere_are_other() -> None:
    events: list[Event] = [
        ProcessCreate(index=0, pid=8, parent_pid=4, creating_pid=4),
        ThreadExit(index=1, pid=8, tid=99, context_pid=8, context_tid=99),
        ThreadCreate(index=2, pid=8, tid=12, creating_pid=777, creating_tid=1),
        ImageLoad(index=3, pid=8, image="x.dll"),
    ]
    found, _ = named(events, 8)
    assert [(str(event.name), event.by) for event in found] == [
        ("process_create", "parent"),
        ("thread_exit:other", "other"),
        ("thread_create:thread1", "other"),
        ("image_load:x.dll", None),
    ]


def test_a_thread_id_alone_tells_a_thread_of_the_process() -> None:
    events: list[Event] = [
        ProcessCreate(index=0, pid=8, parent_pid=4, creating_tid=3),
        ThreadCreate(index=1, pid=8, tid=12, creating_tid=3),
        ImageLoad(index=2, pid=8, image="x.dll", context_tid=12),
        ImageLoad(index=3, pid=8, image="y.dll", context_tid=13),
    ]
    assert [event.by for event in named(events, 8)[0]] == ["parent", "parent", "thread1", "other"]


def test_names_that_look_like_a_second_time_are_kept_apart() -> None:
    events = launch("+ x.dll x.dll x.dll#2 x.dll%232")
    assert names(events, 1000)[1:] == [
        "image_load:x.dll",
        "image_load:x.dll#2",
        "image_load:x.dll%232",
        "image_load:x.dll%25232",
    ]


def test_a_name_that_comes_too_often_is_left_out_and_a_long_one_is_cut() -> None:
    events = indexed(launch("+ " + "b.dll " * 40 + "y" * 999))
    found = names(events, 1000)
    assert found[-2:] == [f"image_load:b.dll#{roles.MAX_AGAIN}", "image_load:" + "y" * roles.MAX_NAME]
    assert len(found) == 1 + roles.MAX_AGAIN + 1


def test_an_image_without_a_name_is_unknown() -> None:
    events: list[Event] = [ProcessCreate(index=0, pid=8), ImageLoad(index=1, pid=8, image=None)]
    assert names(events, None) == ["process_create:unknown", "image_load:unknown/unknown"]
    assert EventName("process_exit").first == EventName("process_exit", nth=4).first
