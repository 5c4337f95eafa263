"""``procnotify compare``: two recordings of one run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.events import Call, Event, ImageLoad, ProcessCreate, ProcessExit, WitnessName
from harness.trace import Header, TraceWriter

EVENTS: list[Event] = [
    ProcessCreate(index=0, pid=8, parent_pid=4, creating_pid=4, creating_tid=12),
    ImageLoad(index=1, pid=8, image="\\a.exe", base=0x1000, size=0x2000),
    ProcessExit(index=2, pid=8, context_pid=8, context_tid=12),
]


def write(path: Path, events: Sequence[Event], witness: WitnessName = "print") -> Path:
    with TraceWriter(path, Header()) as writer:
        writer.write([msgspec.structs.replace(event, index=n) for n, event in enumerate(events)])
        writer.finish(witness=witness)
    return path


def compare(*words: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, words)], standalone_mode=False)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(tmp_path / "whole.jsonl", EVENTS)


def test_the_same_callbacks_in_another_order_are_the_same(whole: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.jsonl", [EVENTS[1], EVENTS[0], EVENTS[2]])
    done = compare(whole, other)
    assert (done.return_value, done.output) == (0, "the same: 3, different: 0\n")


def test_a_field_that_one_of_them_carries_nowhere_is_not_compared(whole: Path, tmp_path: Path) -> None:
    less = [ProcessCreate(index=0, pid=8), ImageLoad(index=1, image="a.exe"), ProcessExit(index=2, pid=8)]
    bare = write(tmp_path / "bare.jsonl", less)
    assert compare(bare, whole).return_value == 0


def test_each_difference_is_named(whole: Path, tmp_path: Path) -> None:
    changed = [
        msgspec.structs.replace(EVENTS[0], parent_pid=5),
        EVENTS[2],
        ProcessExit(index=3, pid=16, context_pid=16, context_tid=20),
    ]
    done = compare(write(tmp_path / "changed.jsonl", changed), whole)
    assert done.return_value == 1
    assert done.output.splitlines() == [
        "process_create pid 8: parent_pid 5 in the first, 4 in the second",
        "only in the first: process_exit pid 16",
        "only in the second: image_load image \\a.exe base 0x1000 pid 8",
        "the same: 1, different: 3",
    ]


def test_what_the_target_saw_counts_where_that_is_the_witness(whole: Path, tmp_path: Path) -> None:
    call = Call(driver="my.sys", routine=16, irql=0)
    seen = [msgspec.structs.replace(event, witness="target", call=call) for event in EVENTS]
    both = write(tmp_path / "both.jsonl", [EVENTS[0], *seen], "target")
    assert compare(whole, both).return_value == 0


def test_the_document(whole: Path, tmp_path: Path) -> None:
    done = compare(whole, write(tmp_path / "two.jsonl", EVENTS[:2]), "--json")
    found = json.loads(done.stdout)
    assert (found["exit_code"], found["same"], found["more"]) == (1, 2, 0)
    assert found["differences"] == [
        {"message": "only in the first: process_exit pid 8", "first": 2, "second": None}
    ]


def test_what_cannot_be_read_or_tells_nothing_is_wrong_input(whole: Path, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.jsonl", [])
    for path in (tmp_path / "none.jsonl", empty):
        for words in ((whole, path), (path, whole)):
            done = compare(*words)
            assert getattr(done.exception, "exit_code", None) == 2, done.output
