"""``procnotify diff``: what changed between two sets of traces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from launches import launch, write_trace

from harness.cli import cli
from harness.errors import UsageError
from harness.events import Event

LIFE = "+ t a.exe b.dll c.dll d.dll x1 -"
SWAPPED = "+ t a.exe c.dll b.dll d.dll x1 -"


def diff(*words: object) -> Result:
    return CliRunner().invoke(cli, ["diff", *map(str, words)], standalone_mode=False)


def recording(path: Path, *lives: str) -> Path:
    events: list[Event] = []
    for number, words in enumerate(lives):
        events += launch(words, 1000 * (number + 1))
    return write_trace(path, events)


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return recording(tmp_path / "main.jsonl", *[LIFE] * 20)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return recording(tmp_path / "mine.jsonl", *[SWAPPED] * 20)


def test_a_recording_does_not_differ_from_itself(main: Path) -> None:
    done = diff(main, main, "--select", "image=a.exe")
    assert done.return_value == 0
    assert done.stdout == (
        "0 differences in 36 comparisons of 20 with 20 instances, at level 0.01 for all of them together\n"
    )


def test_two_swapped_imports_are_named_and_nothing_else(main: Path, mine: Path, tmp_path: Path) -> None:
    comment = tmp_path / "comment.md"
    done = diff(main, mine, "--select", "image=a.exe", "--markdown", comment)
    assert done.return_value == 1
    first, *rest = done.stdout.splitlines()
    assert first.startswith(
        "flipped: image_load:b.dll and image_load:c.dll: 20 before, 0 after; now 0 before, 20 after (p "
    )
    assert len(rest) == 1
    table = comment.read_text(encoding="utf-8").splitlines()
    assert [line for line in table if line.startswith("| flipped")] == [
        "| flipped | `image_load:b.dll` before `image_load:c.dll` | 20 of 20 | 0 of 20 | 1e-11 |"
    ]


def test_the_document_says_the_same(main: Path, mine: Path) -> None:
    done = diff(main, mine, "--select", "image=a.exe", "--json")
    found = json.loads(done.stdout)
    assert (found["command"], found["exit_code"], found["able"], found["events"]) == ("diff", 1, True, [])
    (each,) = found["orders"]
    assert (each["kind"], each["a"], each["b"]) == ("flipped", "image_load:b.dll", "image_load:c.dll")
    assert (each["first"], each["second"]) == ({"before": 20, "after": 0}, {"before": 0, "after": 20})
    assert "flipped" in done.stderr


def test_sets_are_several_traces_or_folders(tmp_path: Path) -> None:
    for folder, words in (("one", LIFE), ("other", SWAPPED)):
        (tmp_path / folder).mkdir()
        for number in range(6):
            recording(tmp_path / folder / f"{number}.jsonl", words)
    select = ("--select", "image=a.exe")
    done = diff(tmp_path / "one", "--against", tmp_path / "other", *select)
    assert done.return_value == 1
    assert "6 with 6 instances" in done.stdout
    files = sorted((tmp_path / "other").iterdir())
    words = [word for path in files for word in ("--against", path)]
    assert diff(*sorted((tmp_path / "one").iterdir()), *words, *select).stdout == done.stdout


def test_too_few_instances_are_no_pass(tmp_path: Path) -> None:
    one, other = recording(tmp_path / "a.jsonl", *[LIFE] * 3), recording(tmp_path / "b.jsonl", *[SWAPPED] * 3)
    comment = tmp_path / "comment.md"
    done = diff(one, other, "--select", "image=a.exe", "--markdown", comment)
    assert done.return_value == 5
    lines = done.stdout.splitlines()
    assert lines[1].startswith("nothing can be proved with 3 and 3 instances at level 0.01")
    assert lines[1].endswith("takes 5 and 5")
    assert lines[2].startswith("1 difference (1 of order) without exception in either set")
    assert lines[3].startswith("  flipped: image_load:b.dll and image_load:c.dll")
    assert "nothing can be proved" in comment.read_text(encoding="utf-8")
    assert diff(one, other, "--select", "image=a.exe", "--level", "0.2").return_value == 1


def test_a_name_in_a_comment_is_only_a_name(tmp_path: Path) -> None:
    main = recording(tmp_path / "main.jsonl", *["+ t a.exe -"] * 20)
    mine = recording(tmp_path / "mine.jsonl", *["+ t a.exe @you`|[x](y)\x01.dll -"] * 20)
    comment = tmp_path / "comment.md"
    assert diff(main, mine, "--select", "image=a.exe", "--markdown", comment).return_value == 1
    (row,) = (line for line in comment.read_text(encoding="utf-8").splitlines() if line.startswith("| new"))
    assert row.startswith("| new | `image_load:@you'\\|[x](y)\\x01.dll` | 0 | 20 |")


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_not_two_sets_is_said(main: Path, count: int) -> None:
    done = diff(*[main] * count, "--select", "image=a.exe")
    assert isinstance(done.exception, UsageError)
    assert "not two sets" in str(done.exception)


def test_a_folder_without_traces_is_said(main: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = diff(main, "--against", tmp_path / "empty", "--select", "image=a.exe")
    assert isinstance(done.exception, UsageError)
    assert "holds no trace" in str(done.exception)


def test_a_recording_of_windows_does_not_differ_from_itself(shared_data: Path) -> None:
    recorded = shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz"
    done = diff(recorded, recorded, "--select", "image=notepad.exe")
    assert done.return_value == 0
    assert done.stdout.startswith("0 differences in ")


def test_the_comment_is_not_written_over_a_trace(main: Path, mine: Path) -> None:
    was = mine.read_bytes()
    done = diff(main, mine, "--select", "image=a.exe", "--markdown", mine)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("--markdown would write over ")
    assert mine.read_bytes() == was
