"""Files that another process has open and shares with nobody, as a virus scanner does with what is fresh."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from scanner import Scanner

from harness.cli import cli
from harness.errors import DriverFileError, ScenarioError, UsageError
from harness.files import patiently
from harness.outcome import Outcome
from harness.runs.opening import read_driver
from harness.runs.trace_folder import KEPT_PASSING, TraceFolder
from harness.scenario import load
from harness.toolchain import Arch, builds
from harness.toolchain.result import build_folder, publish

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="elsewhere every file is shared")


@contextmanager
def looked_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A scanner has the file until somebody who is patient waits; the list gets each pause."""
    pauses: list[float] = []
    with Scanner(file) as scanner:

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            scanner.let_go()

        monkeypatch.setattr(patiently, "__kwdefaults__", {"sleep": sleep})
        yield pauses


def test_it_cannot_be_opened_at_all(tmp_path: Path) -> None:
    file = tmp_path / "fresh.exe"
    file.write_bytes(b"MZ")
    with Scanner(file) as scanner:
        with pytest.raises(PermissionError):
            file.read_bytes()
        with pytest.raises(PermissionError):
            file.unlink()
        scanner.let_go()
        assert file.read_bytes() == b"MZ"


def test_an_image_takes_the_place_of_one_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, pdb, out = tmp_path / "a.sys", tmp_path / "a.pdb", tmp_path / "out" / "b.sys"
    image.write_bytes(b"image")
    pdb.write_bytes(b"pdb")
    out.parent.mkdir()
    out.write_bytes(b"old")
    with looked_at(out, monkeypatch) as pauses:
        assert publish(image, pdb, out).path.read_bytes() == b"image"
    assert len(pauses) == 1
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.pdb", "b.sys"]


def test_a_build_gets_its_name_although_a_file_in_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.toolchain.builds.cache_dir", lambda *parts: tmp_path)
    scanners: list[Scanner] = []
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        scanners[0].let_go()

    def build(folder: Path) -> None:
        (folder / "image").write_bytes(b"ours")
        scanners.append(Scanner(folder / "image").__enter__())

    monkeypatch.setattr(patiently, "__kwdefaults__", {"sleep": sleep})
    try:
        folder = builds._cached("driver", Arch.X64, (), build)
    finally:
        scanners[0].let_go()
    assert (folder / "image").read_bytes() == b"ours"
    assert len(pauses) == 1
    assert list(tmp_path.iterdir()) == [folder]


def test_a_build_ends_well_although_a_file_of_its_folder_is_held(tmp_path: Path) -> None:
    with build_folder() as folder:
        (folder / "fresh.exe").write_bytes(b"MZ")
        (folder / "fresh.pdb").write_bytes(b"")
        scanner = Scanner(folder / "fresh.exe").__enter__()
    assert [path.name for path in folder.iterdir()] == ["fresh.exe"]
    scanner.let_go()
    (folder / "fresh.exe").unlink()
    folder.rmdir()


def test_what_is_held_cannot_be_read_and_that_is_said_in_one_line(tmp_path: Path) -> None:
    driver, scenario = tmp_path / "d.sys", tmp_path / "s.yaml"
    driver.write_bytes(b"MZ")
    scenario.write_bytes(b"scenario: s\n")
    with Scanner(driver), pytest.raises(DriverFileError, match=r"cannot read the driver .*d\.sys"):
        read_driver(driver)
    with Scanner(scenario), pytest.raises(ScenarioError, match="cannot be read"):
        load(scenario)


def test_a_trace_cannot_be_written_where_one_is_held(tmp_path: Path) -> None:
    out = tmp_path / "d.sys"
    out.write_bytes(b"old")
    with Scanner(out):
        result = CliRunner().invoke(cli, ["driver", "build", "--out", str(out)])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(f"cannot write {out}: ")
    assert out.read_bytes() == b"old"


def test_an_old_trace_that_is_held_is_kept_and_costs_nothing_else(tmp_path: Path) -> None:
    folders = [tmp_path / f"20260101-0000{number:02}-aaaaaa" for number in range(KEPT_PASSING + 4)]
    for folder in folders:
        folder.mkdir()
        (folder / "s-1.jsonl").write_bytes(b"")
        (folder / "outcome.txt").write_bytes(b"passed\n")
    traces = TraceFolder(tmp_path, now=lambda: datetime(2026, 1, 2, tzinfo=UTC), token=lambda: "bbbbbb")
    traces.new_trace(Path("s.yaml"), 1)
    traces.note(Outcome.PASSED)
    with Scanner(folders[0] / "s-1.jsonl"), Scanner(folders[2] / "outcome.txt"):
        traces.close()
        # Four more than are kept have an outcome that can be read.
        assert [folder.exists() for folder in folders[:6]] == [True, False, True, False, False, True]
    traces.close()
    assert [folder.exists() for folder in folders[:6]] == [False] * 5 + [True]
