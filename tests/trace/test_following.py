"""A trace that grows while it is read, in steps that the test takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.errors import TraceError, UsageError
from harness.events import Event, ImageLoad, Print, ProcessCreate
from harness.trace import Header, TraceWriter
from harness.trace.following import FollowedTrace
from harness.trace.reader import TraceReader

EVENTS: list[Event] = [
    ProcessCreate(index=0, pid=8, parent_pid=4, image="a.exe", time=1),
    ImageLoad(index=1, pid=8, image="b.dll", time=2),
    ProcessCreate(index=2, pid=9, parent_pid=8, witness="target", time=3),
    Print(index=3, line="hello", time=4),
]


class Stopped(Exception):
    """The test has nothing more to write."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "t.jsonl"
    with TraceWriter(path, Header()) as writer:
        writer.write(EVENTS)
        writer.finish()
    return path.read_bytes()


def growing(path: Path, pieces: Iterator[bytes]) -> Callable[[], None]:
    """What waits: writes the next piece."""

    def wait() -> None:
        piece = next(pieces, None)
        if piece is None:
            raise Stopped
        with path.open("ab") as file:
            file.write(piece)

    return wait


@given(st.lists(st.integers(0, 2_000), max_size=12))
def test_wherever_the_writer_is_the_events_are_those_of_the_whole(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("grows") / "t.jsonl"
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = (whole[a:b] for a, b in pairwise(places))
    trace = FollowedTrace(path, growing(path, pieces))
    assert list(trace) == EVENTS == list(TraceReader(path))
    assert trace.footer is not None and trace.footer.events == len(EVENTS)


def test_what_is_there_comes_before_it_is_waited_for(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:7])
    found: list[Event] = []
    with pytest.raises(Stopped):
        found.extend(FollowedTrace(path, growing(path, iter([b""]))))
    events = iter(FollowedTrace(path, growing(path, iter([lines[3][7:]]))))
    assert [next(events), next(events), next(events)] == EVENTS[:3]
    with pytest.raises(Stopped):
        next(events)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (b'{"kind":"nonsense"}\n', ":6: damaged"),
        (b'{"kind":"print","index":9}\n', ":6: event 9 stands where 4 is due"),
        (b"\xff\n", ":6: damaged"),
    ],
)
def test_damage_is_told_with_its_line(whole: bytes, tmp_path: Path, piece: bytes, words: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]) + piece)
    with pytest.raises(TraceError, match=words):
        list(FollowedTrace(path, growing(path, iter(()))))


def test_a_file_that_becomes_shorter_is_not_waited_for(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))

    def begun_anew() -> None:
        path.write_bytes(whole[:100])

    with pytest.raises(TraceError, match="became shorter"):
        list(FollowedTrace(path, begun_anew))


def show(*words: object) -> Result:
    return CliRunner().invoke(cli, ["show", *map(str, words)], standalone_mode=False)


def test_show_tells_events_as_they_come_and_ends_with_the_trace(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.jsonl"
    wait = growing(path, iter(whole.splitlines(keepends=True)))
    monkeypatch.setattr("harness.cli.show.sleep", lambda seconds: wait())
    done = show(path, "--follow", "--kind", "process_create", "--kind", "image_load")
    assert done.return_value == 0, done.exception
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:1] for row in rows] == [["index"], ["0"], ["1"]]
    assert "2 events" in done.stderr


def test_ctrl_c_ends_it(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.show.sleep", interrupted)
    done = show(path, "--follow")
    assert done.exit_code != 0
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize("words", [["--json"], ["--process", "8"], ["--perfetto", "f"], ["--parquet", "f"]])
def test_what_needs_the_whole_recording_is_refused(whole: bytes, tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(whole)
    done = show(path, "--follow", *words)
    assert isinstance(done.exception, UsageError) and "--follow" in str(done.exception)
