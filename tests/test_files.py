"""Files: their limits, renames that are refused for a while, and whose fault it is."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from this_system import FIFOS

from harness.errors import DriverFileError, RigError, ScenarioError, UsageError
from harness.files import cannot_write, patiently, read_file
from harness.runs.opening import MAX_DRIVER, read_driver
from harness.scenario import load


def test_a_file_of_the_limit_is_read_and_one_more_byte_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_file(path, limit=5) == b"12345"
    with pytest.raises(OSError, match="it is larger than 4 bytes"):
        read_file(path, limit=4)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it is a folder, not a file"):
        read_file(tmp_path, limit=5)


@FIFOS
def test_what_never_ends_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a named pipe, not a file"):
        read_file(tmp_path / "pipe", limit=5)
    with pytest.raises(OSError, match="it is a device, not a file"):
        read_file(Path("/dev/zero"), limit=5)


@FIFOS
def test_neither_a_driver_nor_a_scenario_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        DriverFileError, match=r"cannot read the driver .*: it is a named pipe, not a file; give"
    ):
        read_driver(tmp_path / "pipe")
    with pytest.raises(ScenarioError, match="cannot be read: it is a named pipe, not a file"):
        load(tmp_path / "pipe")


def test_a_driver_has_a_limit(tmp_path: Path) -> None:
    with (tmp_path / "big.sys").open("wb") as file:
        file.truncate(MAX_DRIVER + 1)
    with pytest.raises(DriverFileError, match=f"it is larger than {MAX_DRIVER} bytes"):
        read_driver(tmp_path / "big.sys")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, UsageError),
        (errno.EACCES, UsageError),
        (errno.EROFS, UsageError),
        (errno.EISDIR, UsageError),
        (errno.ENOSPC, RigError),
        (errno.EMFILE, RigError),
        (errno.EIO, RigError),
    ],
)
def test_whose_fault_it_is_that_a_file_cannot_be_written(number: int, kind: type[Exception]) -> None:
    error = cannot_write(Path("out"), OSError(number, os.strerror(number)), hint="choose another --out")
    assert type(error) is kind
    assert str(error).startswith(f"cannot write out: {os.strerror(number)}")
    assert ("choose another --out" in str(error)) == (kind is UsageError)


class Refused:
    """Work that is refused a number of times."""

    def __init__(self, times: int, error: OSError) -> None:
        self.left = times
        self.error = error
        self.slept: list[float] = []

    def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise self.error

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_what_a_scanner_holds_is_tried_again_for_two_seconds() -> None:
    work = Refused(3, PermissionError(errno.EACCES, "Sharing violation"))
    patiently(work, sleep=work.sleep)
    assert work.left == 0 and len(work.slept) == 3
    lasting = Refused(100, PermissionError(errno.EACCES, "Sharing violation"))
    with pytest.raises(PermissionError, match="Sharing violation"):
        patiently(lasting, sleep=lasting.sleep)
    assert sum(lasting.slept) == pytest.approx(2.0) and lasting.slept == sorted(lasting.slept)


def test_any_other_failure_is_told_at_once() -> None:
    work = Refused(1, FileNotFoundError(errno.ENOENT, "No such file"))
    with pytest.raises(FileNotFoundError):
        patiently(work, sleep=work.sleep)
    assert work.slept == []


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows refuses to replace an open file")
def test_a_file_that_somebody_has_open_is_replaced_once_it_is_closed(tmp_path: Path) -> None:
    fresh, place = tmp_path / "fresh", tmp_path / "place"
    fresh.write_bytes(b"fresh")
    place.write_bytes(b"old")
    with place.open("rb") as held:
        patiently(lambda: fresh.replace(place), sleep=lambda seconds: held.close())
    assert place.read_bytes() == b"fresh"


def test_a_path_that_is_too_long_for_windows_is_named_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = OSError(errno.ENOENT, "The system cannot find the path specified")
    long = Path("n" * 200, "n" * 200)
    monkeypatch.setattr("harness.files._MAX_PATH", None)
    assert "LongPathsEnabled" not in str(cannot_write(long, missing, hint="choose another --out"))
    monkeypatch.setattr("harness.files._MAX_PATH", 259)
    error = cannot_write(long, missing, hint="choose another --out")
    assert type(error) is UsageError and "LongPathsEnabled" in error.hint
    assert cannot_write(Path("out"), missing, hint="choose another --out").message.endswith("specified")
    assert "LongPathsEnabled" not in str(cannot_write(Path("out"), missing, hint="choose another --out"))
