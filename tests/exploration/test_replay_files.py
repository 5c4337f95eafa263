"""Replay files: written, read within limits, and played back bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import harness.cli
from harness.errors import InternalError, UsageError
from harness.exploration import replayfile
from harness.exploration.replayfile import (
    ReplayFile,
    read_replay,
    replay_of,
    require_same,
    scenario_of,
    write_replay,
)
from harness.exploration.replaying import play_back
from harness.runs.opening import open_rig
from harness.runs.rig import KeptTraces, Rig
from harness.runs.runner import run_scenario
from harness.scenario import parse
from harness.virtual.dispatcher.schedule import RecordingPolicy

TEXT = """\
scenario: one-program
summary: A program begins and ends.
steps:
  - launch: {image: notepad.exe, as: notepad}
  - settle: {quiet: 300ms, max: 10s}
  - terminate: notepad
expect:
  order: [process_create: {pid: $notepad}, process_exit: {pid: $notepad}]
"""
SEED = 1


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with open_rig(
        machine="virtual",
        debugger="none",
        driver=None,
        trace_folder=tmp_path_factory.mktemp("traces"),
        policy="random",
        keep_traces=KeptTraces.FAILED,
    ) as rig:
        yield rig


@pytest.fixture(scope="module")
def recorded(rig: Rig) -> ReplayFile:
    """A run under ``random`` in which something was preempted."""
    keeping = replace(rig, scheduling=RecordingPolicy)
    scenario = parse(TEXT, Path("one-program.yaml"))
    result = run_scenario(keeping, scenario, seed=SEED)
    replay = replay_of(keeping, scenario, TEXT, result, policy="random", without_rules=frozenset())
    assert replay.schedule.preemptions
    return replay


@pytest.fixture(scope="module")
def kept(recorded: ReplayFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "run.replay.json"
    write_replay(path, recorded)
    return path


def test_a_file_is_read_as_it_was_written(recorded: ReplayFile, kept: Path) -> None:
    assert read_replay(kept) == recorded


def test_a_run_is_played_back_bit_for_bit(rig: Rig, recorded: ReplayFile, kept: Path) -> None:
    result = play_back(rig, recorded, scenario_of(recorded, kept))
    assert (result.events, result.events_sha256) == (recorded.found.events, recorded.found.sha256)
    assert result.schedule == recorded.schedule
    plain = run_scenario(
        replace(rig, policy="default", scheduling=RecordingPolicy),
        parse(TEXT, kept),
        seed=recorded.machine.seed,
    )
    assert plain.events_sha256 != recorded.found.sha256, "the schedule decides nothing here"


def without_the_first_preemption(replay: ReplayFile) -> ReplayFile:
    schedule = msgspec.structs.replace(replay.schedule, preemptions=replay.schedule.preemptions[1:])
    return msgspec.structs.replace(replay, schedule=schedule)


def later(replay: ReplayFile) -> ReplayFile:
    first, *rest = replay.schedule.preemptions
    moved = msgspec.structs.replace(first, thread=first.thread + 4)
    schedule = msgspec.structs.replace(replay.schedule, preemptions=(moved, *rest))
    return msgspec.structs.replace(replay, schedule=schedule)


def other_trace(replay: ReplayFile) -> ReplayFile:
    return msgspec.structs.replace(replay, found=msgspec.structs.replace(replay.found, sha256="0" * 64))


@pytest.mark.parametrize("change", [without_the_first_preemption, later, other_trace])
def test_a_run_that_does_not_repeat_is_a_fault_of_the_rig(
    rig: Rig, recorded: ReplayFile, kept: Path, change: Callable[[ReplayFile], ReplayFile]
) -> None:
    with pytest.raises(InternalError, match=r"one-program.yaml \(seed 1\) did not repeat: .*recorded .* now"):
        play_back(rig, change(recorded), scenario_of(recorded, kept))


def test_another_driver_is_refused_by_both_names_and_digests(rig: Rig, recorded: ReplayFile) -> None:
    other = replace(rig, driver=replace(rig.driver, file="other.sys", image=rig.driver.image + b"\0"))
    with pytest.raises(UsageError) as caught:
        require_same(recorded, other, parse(TEXT, Path("s.yaml")))
    assert f"other.sys of SHA-256 {other.driver_sha256()}" in caught.value.message
    assert f"recorded procnotify.sys of SHA-256 {rig.driver_sha256()}" in caught.value.message
    assert caught.value.hint == "give --driver procnotify.sys, as it was then"


def test_more_drivers_than_were_recorded_are_refused(rig: Rig, recorded: ReplayFile) -> None:
    with pytest.raises(UsageError, match=r"has 1 driver\(s\), and here are 2"):
        require_same(recorded, replace(rig, other_drivers=(rig.driver,)), parse(TEXT, Path("s.yaml")))


def test_another_helper_is_refused(rig: Rig, recorded: ReplayFile) -> None:
    other = replace(rig, files=replace(rig.files, actor=b"MZ"))
    with pytest.raises(UsageError, match="the guest helper is another one than in the replay"):
        require_same(recorded, other, parse(TEXT, Path("s.yaml")))


def test_another_grammar_is_refused(rig: Rig, recorded: ReplayFile) -> None:
    other = msgspec.structs.replace(recorded, lines={"name": "other", "sha256": "0" * 64})
    with pytest.raises(UsageError, match="the line grammar is another one than in the replay"):
        require_same(other, rig, parse(TEXT, Path("s.yaml")))


def altered(kept: Path, path: tuple[str | int, ...], value: object) -> bytes:
    document = json.loads(kept.read_bytes())
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("replay",), 2, "is a replay file of version 2, and this procnotify reads version 1"),
        (("more",), 1, "unknown field `more`"),
        (("scenario", "text"), TEXT + "\n", "the scenario's text does not have the scenario's sha256"),
        (("scenario", "file"), "../s.yaml", "'../s.yaml' is no file name"),
        (("drivers",), [], "length >= 1"),
        (("drivers", 0, "sha256"), "xyz", "matching regex"),
        (("machine", "seed"), -1, "`int` >= 0"),
        (("machine", "processors"), 9, "`int` <= 8"),
        (("schedule", "steps"), 1 << 50, "a run cannot have"),
        (("schedule", "preemptions", 0, "chosen"), 5, "chooses 5, and there is 1 to 4"),
        (("schedule", "preemptions", 0, "step"), 1 << 39, "is not behind step -1 and before the end"),
        (("schedule", "preemptions", 0, "step"), -1, "step -1 is not behind step -1"),
    ],
)
def test_what_is_out_of_its_bounds_is_refused(
    kept: Path, tmp_path: Path, path: tuple[str | int, ...], value: object, words: str
) -> None:
    bad = tmp_path / "bad.replay.json"
    bad.write_bytes(altered(kept, path, value))
    with pytest.raises(UsageError) as caught:
        read_replay(bad)
    assert words in caught.value.message


def test_a_file_with_more_preemptions_than_may_be_is_refused(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replayfile, "MAX_PREEMPTIONS", 0)
    with pytest.raises(UsageError, match="it has more than 0 preemptions"):
        read_replay(kept)


def test_a_file_that_is_too_large_or_not_there_is_refused(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replayfile, "MAX_FILE", 100)
    with pytest.raises(UsageError, match="it is larger than 100 bytes"):
        read_replay(kept)
    with pytest.raises(UsageError, match="No such file"):
        read_replay(kept.with_name("none.replay.json"))


@given(st.binary(max_size=200) | st.just(b"[" * 100_000) | st.just(b'{"replay":1}'))
def test_whatever_is_in_a_file_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.replay.json"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_replay(path)


# The command


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(harness.cli.cli, ["run", *map(str, words)], standalone_mode=False)
    if result.exception is not None:
        return getattr(result.exception, "exit_code", -1), str(result.exception)
    return int(result.return_value), result.output


def test_the_command_repeats_the_run_without_its_scenario_file(
    kept: Path, recorded: ReplayFile, tmp_path: Path
) -> None:
    code, output = call("--replay", kept, "--debugger", "none", "--trace-dir", tmp_path / "traces")
    assert code == 0, output
    assert f"repeated: {recorded.found.events} events, SHA-256 {recorded.found.sha256}" in output
    (trace,) = (tmp_path / "traces").glob("2*/one-program-1.jsonl")
    assert '"policy":"replay"' in trace.read_text(encoding="utf-8").splitlines()[0]


def test_the_command_takes_the_scenario_whatever_its_line_ends_and_refuses_another(
    kept: Path, tmp_path: Path
) -> None:
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_bytes(TEXT.replace("\n", "\r\n").encode())
    other.write_text(TEXT.replace("A program", "One program"), encoding="utf-8")
    arguments = ("--replay", kept, "--debugger", "none", "--trace-dir", tmp_path / "traces")
    code, output = call(same, *arguments)
    assert code == 0, output
    code, output = call(other, *arguments)
    assert code == 2
    assert f"the scenario {other} is another one than in the replay" in output


def test_the_command_refuses_what_the_file_says_already(kept: Path) -> None:
    assert call("--replay", kept, "--seed", 3) == (
        2,
        "--replay says already what --seed does; leave out the one or the other",
    )
    assert call("--debugger", "none") == (2, "Missing argument 'PATH...'.")
