"""The folder of a call's traces: never another's, never through a link, pruned by a rule."""

from __future__ import annotations

import errno
import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from this_system import LINKS

from harness.errors import RigError, UsageError
from harness.outcome import Outcome
from harness.runs.trace_folder import KEPT_PASSING, LATEST, TraceFolder, through_latest

NOON = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


def folder(root: Path, *tokens: str, time: datetime = NOON) -> TraceFolder:
    given = iter(tokens or ("0000aa",))
    return TraceFolder(root, now=lambda: time, token=lambda: next(given))


def ended(root: Path, number: int, *outcomes: Outcome) -> Path:
    """A call that has ended."""
    made = folder(root, f"{number:06x}", time=datetime.fromtimestamp(number, UTC))
    made.new_trace(Path("a.yaml"), 1).write_text("{}", encoding="utf-8")
    for outcome in outcomes:
        made.note(outcome)
    made.close()
    assert made.path is not None
    return made.path


def test_a_folder_has_its_time_and_an_id_and_latest_beside_it(tmp_path: Path) -> None:
    made = folder(tmp_path / "traces")
    assert made.path is None and not (tmp_path / "traces").exists(), "nothing is made before it is needed"
    trace = made.new_trace(Path("some/launch.yaml"), 7)
    assert trace == tmp_path / "traces" / "20260301-123015-0000aa" / "launch-7.jsonl"
    trace.write_text("mine", encoding="utf-8")
    latest = through_latest(tmp_path / "traces" / LATEST / "launch-7.jsonl")
    assert latest.read_text(encoding="utf-8") == "mine"


def test_two_calls_in_one_second_with_one_id_never_meet(tmp_path: Path) -> None:
    first, second = folder(tmp_path, "0000aa"), folder(tmp_path, "0000aa", "0000aa", "0000bb")
    one, two = first.new_trace(Path("a.yaml"), 1), second.new_trace(Path("a.yaml"), 1)
    assert one.parent.name == "20260301-123015-0000aa"
    assert two.parent.name == "20260301-123015-0000bb"
    assert through_latest(tmp_path / LATEST / two.name).resolve() == two.resolve()


def test_names_that_a_file_system_may_take_for_one_are_told_apart(tmp_path: Path) -> None:
    made = folder(tmp_path)
    names = [
        made.new_trace(path, 1).name
        for path in (
            Path("a/run.yaml"),
            Path("b/run.yaml"),
            Path("RUN.yaml"),
            Path("run.yml"),
            Path("x.yaml"),
        )
    ]
    assert names == ["run-1.jsonl", "run-1~2.jsonl", "RUN-1~3.jsonl", "run-1~4.jsonl", "x-1.jsonl"]


def test_a_name_of_any_length_has_a_trace(tmp_path: Path) -> None:
    made = folder(tmp_path)
    for number, stem in enumerate(("n" * 250, "ü" * 120, "漢" * 80)):
        made.new_trace(Path(f"{stem}.yaml"), number).write_text("{}", encoding="utf-8")


@LINKS
def test_what_lies_in_the_place_of_latest_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    root = tmp_path / "traces"
    root.mkdir()
    (root / LATEST).symlink_to(precious)
    made = folder(root)
    made.new_trace(Path("a.yaml"), 1)
    assert precious.read_text(encoding="utf-8") == "mine"
    assert (root / LATEST).resolve() == made.path


def test_a_folder_called_latest_is_left_and_the_traces_are_written(tmp_path: Path) -> None:
    (tmp_path / LATEST).mkdir()
    (tmp_path / LATEST / "notes").write_text("mine", encoding="utf-8")
    folder(tmp_path).new_trace(Path("a.yaml"), 1).write_text("{}", encoding="utf-8")
    assert (tmp_path / LATEST / "notes").read_text(encoding="utf-8") == "mine"


def test_old_folders_in_which_all_passed_are_deleted_and_no_others(tmp_path: Path) -> None:
    broken = ended(tmp_path, 1, Outcome.PASSED, Outcome.BROKEN)
    unfinished = folder(tmp_path, "000002", time=datetime.fromtimestamp(2, UTC))
    unfinished.new_trace(Path("a.yaml"), 1).write_text("{}", encoding="utf-8")
    noted = ended(tmp_path, 3, Outcome.PASSED)
    (noted / "notes.txt").write_text("mine", encoding="utf-8")
    passed = [ended(tmp_path, number, Outcome.PASSED) for number in range(4, 4 + KEPT_PASSING + 2)]
    assert [path.exists() for path in passed] == [False] * 2 + [True] * KEPT_PASSING
    assert (broken / "a-1.jsonl").exists()
    assert unfinished.path is not None and unfinished.path.exists()
    assert [path.name for path in noted.iterdir()] == ["notes.txt"], "what is not ours stays"


@LINKS
def test_pruning_does_not_follow_a_link(tmp_path: Path) -> None:
    root = tmp_path / "traces"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "outcome.txt").write_text("passed\n", encoding="utf-8")
    (elsewhere / "a-1.jsonl").write_text("mine", encoding="utf-8")
    root.mkdir()
    (root / "19700101-000000-ffffff").symlink_to(elsewhere)
    for number in range(1, KEPT_PASSING + 3):
        ended(root, number, Outcome.PASSED)
    assert (elsewhere / "a-1.jsonl").read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot write .*file: .*; choose another --trace-dir"):
        folder(tmp_path / "file").new_trace(Path("a.yaml"), 1)


def test_a_full_disk_is_the_rigs_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(RigError, match=r"cannot write .*: No space left on device"):
        folder(tmp_path).new_trace(Path("a.yaml"), 1)


def test_a_token_that_is_not_random_is_noticed(tmp_path: Path) -> None:
    first = folder(tmp_path)
    first.new_trace(Path("a.yaml"), 1)
    with pytest.raises(AssertionError, match="the token is not random"):
        folder(tmp_path, *itertools.repeat("0000aa", 200)).new_trace(Path("a.yaml"), 1)


def test_latest_leads_to_the_newest_folder_also_where_it_is_a_file(tmp_path: Path) -> None:
    trace = folder(tmp_path).new_trace(Path("a.yaml"), 1)
    trace.write_text("{}", encoding="utf-8")
    for name in ("20260301-123015-0000aa\n", "20260301-123015-0000aa\r\n"):
        (tmp_path / LATEST).unlink()
        (tmp_path / LATEST).write_text(name, encoding="utf-8", newline="")
        assert through_latest(tmp_path / LATEST / "a-1.jsonl") == trace
    assert through_latest(trace) == trace


@pytest.mark.parametrize("name", ["", "..", "20260301-123015-0000aa/../..", "elsewhere", "2" * 100])
def test_a_file_called_latest_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / LATEST).write_text(name, encoding="utf-8")
    trace = tmp_path / LATEST / "a-1.jsonl"
    assert through_latest(trace) == trace


def test_a_link_to_a_folder_is_replaced_where_a_rename_cannot_do_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def as_windows(self: Path, target: Path) -> Path:
        if target.is_dir():
            raise PermissionError(errno.EACCES, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", as_windows)
    older = folder(tmp_path, "0000aa").new_trace(Path("a.yaml"), 1)
    newer = folder(tmp_path, "0000bb").new_trace(Path("a.yaml"), 1)
    assert older.parent.is_dir()
    for trace in (older, newer):
        trace.write_text(trace.parent.name, encoding="utf-8")
    shown = through_latest(tmp_path / LATEST / "a-1.jsonl").read_text(encoding="utf-8")
    assert shown == newer.parent.name
