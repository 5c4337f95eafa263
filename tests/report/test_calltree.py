"""The tree of what a target saw: who is in whom, and whose prints stand beside what."""

from __future__ import annotations

from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.report.calltree import call_tree, tree_as_json, tree_lines
from harness.runs.trial import TrialPrint

SEEN: list[Event] = [
    ProcessCreate(index=0, time=10, cpu=0, pid=8, parent_pid=4, creating_pid=4, creating_tid=12),
    Marker(index=1, action="launch", phase="begin", step=1, pid=8),
    ThreadCreate(index=2, time=11, cpu=0, pid=8, tid=16, creating_pid=4, creating_tid=12),
    ImageLoad(index=3, time=12, cpu=0, pid=8, image="\\Device\\a.exe", base=1),
    ImageLoad(index=4, time=13, cpu=0, pid=8, image="\\Device\\b.dll", base=2),
    ImageLoad(index=5, time=14, cpu=0, pid=8, image=None, base=3),
    ProcessCreate(index=6, time=15, cpu=1, pid=20, parent_pid=8, creating_pid=8, creating_tid=16),
    ThreadExit(index=7, time=16, cpu=0, pid=8, tid=16),
    ProcessExit(index=8, time=17, cpu=0, pid=8),
    ProcessCreate(index=9, time=18, cpu=0, pid=8, parent_pid=4),
    ImageLoad(index=10, time=19, cpu=0, pid=0, image="\\Driver\\x.sys", base=4),
]


def test_processes_stand_in_their_parents_and_prints_beside_their_calls() -> None:
    printed = [
        TrialPrint("loaded", None, 0),
        TrialPrint("created 8", SEEN[0], 1),
        TrialPrint("twice", SEEN[0], 1),
        TrialPrint("b.dll", SEEN[4], 4),
        TrialPrint("gone", None, 10),
    ]
    lines = [line.split("|") for line in tree_lines(call_tree(SEEN, printed))]
    shown = [(left.rstrip(), right[0].strip() if right else "") for left, *right in lines]
    assert shown == [
        ("the driver", "loaded"),
        ("a.exe 8, by 4.12 (the guest helper: launch)", "created 8"),
        ("", "twice"),
        ("  thread 16, by 4.12", ""),
        ("  image a.exe", ""),
        ("  image b.dll", "b.dll"),
        ("  image (no name)", ""),
        ("  process 20, by 8.16", ""),
        ("  thread 16 ends", ""),
        ("  process ends", ""),
        ("process 8", ""),
        ("the kernel", ""),
        ("  image x.sys", ""),
        ("the driver", "gone"),
    ]


def test_images_that_nothing_was_printed_for_are_one_row() -> None:
    rows = call_tree(SEEN[3:6], [])
    assert list(tree_lines(rows)) == ["a.exe 8", "  image a.exe, b.dll, (no name)"]
    assert tree_as_json(rows) == [
        {
            "what": "a.exe 8",
            "prints": [],
            "below": [{"what": "image a.exe, b.dll, (no name)", "prints": [], "below": []}],
        }
    ]


def test_nothing_seen_is_no_tree() -> None:
    assert call_tree([], []) == []
    (line,) = tree_lines(call_tree([], [TrialPrint("alone", None, 0)]))
    assert line.endswith("| alone")
