"""The user's cache of builds, where a rename into it is refused."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ToolchainError
from harness.files import patiently
from harness.toolchain import Arch, builds, compile
from harness.toolchain.result import build_folder, publish


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("harness.toolchain.builds.cache_dir", lambda *parts: tmp_path)
    return tmp_path


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, Callable[[], object]], list[Path]]:
    """Have the first renames of a kind (``rename`` or ``replace``) refused, as Windows does while a scanner
    has a file open; something may happen each time. The list gets what was tried."""
    monkeypatch.setattr(patiently, "__kwdefaults__", {"sleep": lambda seconds: None})

    def patch(kind: str, times: int, meanwhile: Callable[[], object] = lambda: None) -> list[Path]:
        tried: list[Path] = []
        real = getattr(Path, kind)

        def rename(self: Path, target: Path) -> Path:
            tried.append(target)
            if len(tried) <= times:
                meanwhile()
                raise PermissionError(errno.EACCES, "Access is denied")
            renamed: Path = real(self, target)
            return renamed

        monkeypatch.setattr(Path, kind, rename)
        return tried

    return patch


def build(folder: Path) -> None:
    (folder / "image").write_bytes(b"ours")


def test_a_scanner_delays_a_build_and_does_not_lose_it(cache: Path, refuse) -> None:
    tried = refuse("rename", 3)
    folder = builds._cached("driver", Arch.X64, (), build)
    assert (folder / "image").read_bytes() == b"ours"
    assert len(tried) == 4
    assert list(cache.iterdir()) == [folder]


def test_somebody_who_was_faster_while_the_rename_was_refused_wins(cache: Path, refuse) -> None:
    def somebody_else() -> None:
        (final := tried[-1]).mkdir()
        (final / "image").write_bytes(b"theirs")

    tried = refuse("rename", 100, somebody_else)
    folder = builds._cached("driver", Arch.X64, (), build)
    assert (folder / "image").read_bytes() == b"theirs"
    assert len(tried) == 1
    assert list(cache.iterdir()) == [folder]


def test_a_rename_that_is_refused_for_good_is_the_rigs_failure_and_leaves_nothing(
    cache: Path, refuse
) -> None:
    refuse("rename", 100)
    with pytest.raises(
        ToolchainError, match=r"cannot be renamed to .*driver-x64-.*: Access is denied"
    ) as raised:
        builds._cached("driver", Arch.X64, (), build)
    assert "scanner" in raised.value.hint
    assert list(cache.iterdir()) == []


def test_an_image_takes_the_place_of_one_that_a_scanner_looks_at(tmp_path: Path, refuse) -> None:
    image, pdb = tmp_path / "a.sys", tmp_path / "a.pdb"
    image.write_bytes(b"image")
    pdb.write_bytes(b"pdb")
    refuse("replace", 2)
    out = tmp_path / "out" / "b.sys"
    assert publish(image, pdb, out).path.read_bytes() == b"image"
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.pdb", "b.sys"]


def test_an_image_that_finds_no_place_leaves_nothing_beside_it(tmp_path: Path, refuse) -> None:
    image, pdb = tmp_path / "a.sys", tmp_path / "a.pdb"
    image.write_bytes(b"image")
    pdb.write_bytes(b"pdb")
    refuse("replace", 100)
    out = tmp_path / "out" / "b.sys"
    with pytest.raises(Exception, match=r"cannot write .*b\.sys: Access is denied; choose another --out"):
        publish(image, pdb, out)
    assert list(out.parent.iterdir()) == []


def test_a_build_ends_well_although_a_file_of_its_folder_cannot_be_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unlink = os.unlink

    def refuse_image(path: str, **options: int) -> None:
        if str(path).endswith("fresh.exe"):
            raise PermissionError(errno.EACCES, "Access is denied", path)
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse_image)
        with build_folder() as folder:
            (folder / "fresh.exe").write_bytes(b"MZ")
            (folder / "fresh.pdb").write_bytes(b"")
    assert [path.name for path in folder.iterdir()] == ["fresh.exe"]
    shutil.rmtree(folder)


def test_ctrl_c_ends_a_compilation_and_what_has_not_begun_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    released = threading.Event()

    def run_tool(tool: str, arguments: list[str], *, cwd: Path) -> str:
        begun.append(tool)
        released.wait(60)
        return ""

    def interrupted(futures: list[object], timeout: float) -> bool:
        released.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(compile, "run_tool", run_tool)
    monkeypatch.setattr(compile, "is_done_within", interrupted)
    monkeypatch.setattr(compile.os, "cpu_count", lambda: 1)
    sources = [tmp_path / f"{number}.c" for number in range(20)]
    with pytest.raises(KeyboardInterrupt):
        compile.compile_sources(sources, Arch.X64, tmp_path, kernel=True)
    assert len(begun) < len(sources)
