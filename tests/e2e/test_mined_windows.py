"""What was mined from recorded Windows holds there and on the virtual target; two virtual builds compared."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

import harness.virtual.target as target
from harness.cli import cli
from harness.virtual.nt.profile import Launch, Profile, load_profile

SEEDS = "1-3"
"""Of the virtual target; half a second each."""
BUILD_SEEDS = "1-12"
SELECT = ("--select", "image=notepad.exe")


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)


def code(done: Result) -> int:
    """The exit code, however the command ends."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code if done.return_value is None else int(done.return_value)


def test_the_mined_scenario_passes_on_the_recording_and_on_the_virtual_target(
    shared_data: Path, tmp_path: Path
) -> None:
    recording = shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz"
    scenario = tmp_path / "mined.yaml"
    assert code(call("mine", recording, *SELECT, "--scenario", scenario)) == 0
    checked = call("check", recording, scenario, *SELECT)
    assert code(checked) == 0, checked.output
    assert "30 of 30 instances of image=notepad.exe keep the promises" in checked.output
    run = call("run", scenario, "--debugger", "none", "--seeds", SEEDS, "--trace-dir", tmp_path / "traces")
    assert code(run) == 0, run.output
    assert "3 passed" in run.output


def swapped(launch: Launch, one: str, other: str) -> Launch:
    """The same launch with two images in each other's place."""
    places = {one: other, other: one}
    images = {node.id: node.image for node in launch.nodes}

    def other_name(name: str) -> str:
        return places.get(name, name)

    nodes = [
        msgspec.structs.replace(
            node,
            id=other_name(node.id),
            image=images[other_name(node.id)],
            after=[other_name(name) for name in node.after],
        )
        for node in launch.nodes
    ]
    return msgspec.structs.replace(launch, nodes=nodes)


def build(folder: Path) -> Path:
    """Traces of notepad launches on the virtual target; the folder with them."""
    run = call(
        *("run", "scenarios/notepad-launch.yaml", "--debugger", "none", "--seeds", BUILD_SEEDS),
        *("--keep-traces", "all", "--trace-dir", folder),
    )
    assert code(run) == 0, run.output
    return folder / "latest"


def test_two_builds_differ_in_the_two_imports_that_were_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = build(tmp_path / "one")
    known = load_profile("win10-1903")

    def with_two_swapped(name: str) -> Profile:
        launches = [
            swapped(launch, "load msvcp_win.dll", "load ucrtbase.dll")
            if launch.image.endswith("notepad.exe")
            else launch
            for launch in known.launches
        ]
        return msgspec.structs.replace(known, launches=launches)

    monkeypatch.setattr(target, "load_profile", with_two_swapped)
    other = build(tmp_path / "other")
    same = call("diff", one, "--against", one, *SELECT)
    assert (code(same), same.output.splitlines()[0][:14]) == (0, "0 differences ")
    found = call("diff", one, "--against", other, *SELECT)
    assert code(found) == 1
    first, total = (line for line in found.output.splitlines() if not line.startswith("procnotify:"))
    assert first.startswith(
        "flipped: image_load:msvcp_win.dll and image_load:ucrtbase.dll: 12 before, 0 after;"
    )
    assert total.startswith("1 difference in ")
