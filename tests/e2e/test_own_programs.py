"""Scenarios that put a program of their own into the guest, and that ask for one that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch
from harness.toolchain.program import build_program

SOURCE = "#include <windows.h>\nVOID EntryPoint(VOID) { MessageBeep(0); ExitProcess(3); }\n"
EXPECT = """
expect:
  - scope: {pid: $p}
    order:
      - process_create: {pid: $p, image: my test.exe}
      - image_load: {pid: $p, image: my test.exe}
      - image_load: {pid: $p, image: user32.dll}
      - process_exit: {pid: $p}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(SOURCE, encoding="utf-8")
    libs = ("kernel32", "user32")
    return build_program([folder / "program.c"], Arch.X64, folder / "my test.exe", libs=libs).path


def scenario_of(folder: Path, step: str, expect: str = EXPECT) -> Path:
    path = folder / "own.yaml"
    path.write_text(f"scenario: own\nsummary: o.\nsteps:\n  - {step}{expect}", encoding="utf-8")
    return path


def run(folder: Path, step: str, expect: str = EXPECT) -> RunResult:
    with open_rig(machine="virtual", debugger="none", driver=None, trace_folder=folder / "traces") as opened:
        return run_scenario(opened, load(scenario_of(folder, step, expect)), seed=1)


def test_a_program_of_ones_own_is_put_there_started_with_its_libraries_and_ends(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / program.name).write_bytes(program.read_bytes())
    result = run(tmp_path, 'run: {file: bin/my test.exe, arguments: [a, "b c"], as: p}')
    assert (result.outcome, result.reason) == (Outcome.PASSED, "")


def test_an_exit_code_is_nothing_that_the_virtual_target_knows(program: Path, tmp_path: Path) -> None:
    result = run(tmp_path, f"run: {{file: '{program}', code: 3, as: p}}")
    assert result.outcome is Outcome.RIG
    assert "the virtual target executes no program, so there is no exit code" in result.reason


def test_what_is_no_program_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "notes.exe").write_text("not one", encoding="utf-8")
    result = run(tmp_path, "run: {file: notes.exe, as: p}")
    assert result.outcome is Outcome.RIG and "Win32 error 193" in result.reason


def test_a_program_that_the_guest_has_not_is_answered_with_those_that_it_has(tmp_path: Path) -> None:
    result = run(tmp_path, "launch: {image: notpad.exe, as: p}", EXPECT)
    assert result.outcome is Outcome.RIG and "Win32 error 2" in result.reason
    assert "; did you mean notepad.exe? the guest has " in result.reason
    assert "whoami.exe" in result.reason and "run: {file: my.exe}" in result.reason


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("run: nowhere.exe", "nowhere.exe is no file of at most 67108864 bytes"),
        ("run: .", "is no file of at most 67108864 bytes"),
        ("run: a/actor.exe", "actor.exe is a file of the guest helper; rename yours"),
        ("run: a/own.yaml\n  - run: b/OWN.yaml", "two files for the guest are called OWN.yaml; rename one"),
    ],
)
def test_a_file_that_cannot_be_put_there_is_told_before_anything_starts(
    tmp_path: Path, step: str, message: str
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for name in ("a/own.yaml", "b/OWN.yaml", "a/actor.exe"):
        (tmp_path / name).touch()
    with pytest.raises(ScenarioError, match=message):
        load(scenario_of(tmp_path, step, "\nexpect:\n  never: [process_exit: any]\n"))


def test_a_program_that_was_not_executed_is_told_of_in_the_result(program: Path, tmp_path: Path) -> None:
    result = run(tmp_path, f"run: {{file: '{program}', as: p}}\n  - run: {{file: '{program}'}}")
    assert result.outcome is Outcome.PASSED, result.reason
    told = [note for note in result.notes if "not executed" in note]
    assert [re.sub(r".*own\.yaml:", "", note)[:9] for note in told] == ["4: step '", "5: step '"]
    executed_nothing = run(
        tmp_path, "launch: {image: notepad.exe, as: p}", "\nexpect:\n  order: [process_create: {pid: $p}]\n"
    )
    assert not [note for note in executed_nothing.notes if "not executed" in note]
