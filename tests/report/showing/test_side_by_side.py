"""Two recordings beside one another: what goes together, what one has alone, and what is too much."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.errors import UsageError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate
from harness.report.showing import sidebyside
from harness.report.showing.sidebyside import WIDTH, side_by_side, taken
from harness.trace import Header, TraceWriter
from harness.trace.lives import Lives


def life(pid: int, *images: str, base: int = 0) -> list[Event]:
    events: list[Event] = [
        ProcessCreate(index=0, pid=pid, parent_pid=4, image="a.exe"),
        ThreadCreate(index=1, pid=pid, tid=pid + 4),
        *(ImageLoad(index=2 + at, pid=pid, image=image, base=base) for at, image in enumerate(images)),
    ]
    return [*events, ProcessExit(index=len(events), pid=pid)]


def lines(first: list[Event], second: list[Event]) -> list[str]:
    shown = []
    for events in (first, second):
        lives = Lives()
        shown.append(taken((event, lives.take(event)) for event in events))
    return ["".join(text for text, _ in line) for _, line in side_by_side(*shown)]


def test_ids_and_addresses_part_nothing() -> None:
    found = lines(life(100, "x.dll", "y.dll", base=5), life(900, "x.dll", "y.dll", base=7))
    assert [line[WIDTH + 1] for line in found] == ["="] * 5
    assert "a.exe 100" in found[2][:WIDTH] and "a.exe 900" in found[2][WIDTH:]


def test_what_one_has_alone_stands_in_its_column() -> None:
    found = lines(life(100, "x.dll", "only.dll"), life(900, "x.dll", "other.dll"))
    assert [line[WIDTH + 1] for line in found] == ["=", "=", "=", "<", ">", "="]
    assert "only.dll" in found[3][:WIDTH] and "other.dll" in found[4][WIDTH:]
    assert not found[4][:WIDTH].strip()


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_every_event_stands_once_in_its_column_in_its_order(one: list[str], other: list[str]) -> None:
    first, second = life(8, *one), life(9, *other)
    found = lines(first, second)
    columns = [
        [int(cell.split()[0]) for cell in cells if cell.strip()]
        for cells in (
            [line[:WIDTH] for line in found],
            [line[WIDTH + 3 :] for line in found],
        )
    ]
    assert columns == [list(range(len(first))), list(range(len(second)))]


def test_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidebyside, "MAX_EVENTS", 3)
    with pytest.raises(UsageError, match="more than 3 events"):
        lines(life(8), life(8, "x"))


def test_show_takes_two_traces(tmp_path: Path) -> None:
    paths = []
    for name, events in (("a", life(100, "x.dll", "y.dll")), ("b", life(200, "y.dll"))):
        with TraceWriter(tmp_path / name, Header()) as writer:
            writer.write(events)
            writer.finish()
        paths.append(str(tmp_path / name))
    done = CliRunner().invoke(cli, ["show", *paths, "--kind", "image_load"], standalone_mode=False)
    assert done.return_value == 0, done.exception
    assert [line.split()[-1] for line in done.stdout.splitlines()[:2]] == ["<", "y.dll"]
    assert "1 in both, 1 in the first alone, 0 in the second alone" in done.stdout
    for option in ("--json", "--follow", "--table"):
        refused = CliRunner().invoke(cli, ["show", *paths, option], standalone_mode=False)
        assert isinstance(refused.exception, UsageError)
