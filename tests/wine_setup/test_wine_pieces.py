"""Which files are the pieces, and which of them are whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from made_pieces import MINIMAL, PYKD, PYTHON, STDLIB, make_pieces, zip_bytes
from this_system import LINKS

from harness.wine import pieces
from harness.wine.errors import DownloadError
from harness.wine.pieces import DEBS, WHEELS, Wheel, find_pieces

NAMES = {"pykd": PYKD, "panda3d": PYTHON, "minimal": MINIMAL, "stdlib": STDLIB}


def test_all_four_are_recognised(tmp_path: Path) -> None:
    found, missing = find_pieces(make_pieces(tmp_path))
    assert missing == []
    assert found is not None
    assert (found.pykd.name, found.python.name) == (PYKD, PYTHON)
    assert [deb.name for deb in found.library] == [MINIMAL, STDLIB]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_one_that_is_missing_is_the_one_that_is_named(tmp_path: Path, name: str) -> None:
    (make_pieces(tmp_path) / name).unlink()
    found, missing = find_pieces(tmp_path)
    assert found is None
    (piece,) = missing
    assert Path(name).match(piece.pattern)


def test_a_folder_that_is_empty_or_is_not_there_lacks_all(tmp_path: Path) -> None:
    everything = [*WHEELS, *DEBS]
    assert find_pieces(tmp_path) == (None, everything)
    assert find_pieces(tmp_path / "nowhere") == (None, everything)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_one_that_is_damaged_is_named_and_not_used(tmp_path: Path, name: str) -> None:
    path = make_pieces(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DownloadError, match=name):
        find_pieces(tmp_path)


NO_PIECES = [
    "pykd-0.3.4.15-cp38-none-win_amd64.whl",
    "pykd-0.3.4.15-cp39-none-win32.whl",
    "pykd-0.2.0-cp39-none-win_amd64.whl",
    "panda3d-1.11.0-cp39-cp39-win_amd64.whl",
    "panda3d-1.10.16-cp310-cp310-win_amd64.whl",
    "panda3d-1.10.16-cp39-cp39-manylinux2014_x86_64.whl",
    "libpython3.9-minimal_3.9.2-1_arm64.deb",
    "libpython3.9-minimal_3.10.1-1_amd64.deb",
    "libpython3.9-stdlib_3.9.2-1_amd64.deb.part",
    "libpython3.9_3.9.2-1_amd64.deb",
]


@pytest.mark.parametrize("name", NO_PIECES)
def test_files_for_another_python_or_machine_are_not_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert len(find_pieces(tmp_path)[1]) == 4


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.requirement)
def test_the_pinned_wheels_match_their_own_patterns(wheel: Wheel) -> None:
    assert Path(wheel.filename).match(wheel.pattern)
    assert wheel.filename.startswith(wheel.requirement.replace("==", "-") + "-")
    assert len(bytes.fromhex(wheel.sha256)) == 32


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.requirement)
def test_the_pinned_wheel_with_other_contents(tmp_path: Path, wheel: Wheel) -> None:
    contents = zip_bytes({"pykd/pykd.pyd": b"harm"})
    path = tmp_path / wheel.filename
    path.write_bytes(contents)
    with pytest.raises(DownloadError) as error:
        wheel.check(path)
    line = str(error.value)
    assert wheel.filename in line
    assert hashlib.sha256(contents).hexdigest()[:16] in line
    assert wheel.sha256[:16] in line
    assert "\n" not in line


def test_the_pinned_wheel_is_known_by_its_contents_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.whl"
    path.write_bytes(b"no zip at all")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    Wheel("some==1", path.name, sha256, "some.whl", "a test").check(path)


@LINKS
def test_a_folder_or_a_dangling_link_in_the_place_of_a_wheel(tmp_path: Path) -> None:
    path = tmp_path / pieces.PYKD.filename
    path.symlink_to("nowhere")
    with pytest.raises(DownloadError, match=f"{path.name} cannot be read: No such file"):
        pieces.PYKD.check(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DownloadError, match=f"{path.name} cannot be read: Is a directory"):
        pieces.PYKD.check(path)


def test_the_fingerprint_tells_one_version_from_another(tmp_path: Path) -> None:
    found, _ = find_pieces(make_pieces(tmp_path))
    assert found is not None
    first = found.fingerprint([found.pykd])
    assert found.fingerprint([found.pykd]) == first
    assert found.fingerprint([found.pykd, found.python]) != first
    longer = found.pykd.with_name("pykd-0.3.4.16-cp39-none-win_amd64.whl")
    longer.write_bytes(found.pykd.read_bytes())
    assert found.fingerprint([longer]) != first
