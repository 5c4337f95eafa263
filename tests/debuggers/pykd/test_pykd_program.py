"""What pykd's worker needs in the Wine prefix: looked for by the check, put there when a worker starts."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.debuggers import debugger_factory
from harness.debuggers.pykd.debugger import ENGINE_VARIABLE, open_pykd, worker_program
from harness.debuggers.workers.link import WORKER
from harness.errors import UsageError
from harness.wine.errors import PrefixError
from harness.wine.prefix import WinePrefix

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WinePrefix:
    """One that passes for set up; its server notes what it is asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("wine", "wineserver"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/asked\n', encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PROCNOTIFY_WINE", str(tmp_path / "wine"))
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    prefix = WinePrefix()
    for file in (prefix.stamps / "verified", prefix.python / "python.exe", prefix.prefix / "system.reg"):
        file.parent.mkdir(parents=True)
        file.touch()
    return prefix


def engine(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dbgeng.dll").touch()
    return folder


def links(prefix: WinePrefix) -> dict[str, Path]:
    return {path.name: path.readlink() for path in prefix.python.iterdir() if path.is_symlink()}


def test_the_check_changes_nothing(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, str(engine(tmp_path / "new")))
    before = sorted(prefix.root.rglob("*"))
    debugger_factory("pykd")
    assert sorted(prefix.root.rglob("*")) == before
    worker_program()
    (copy,) = prefix.python.glob("worker-*")
    assert (copy / "main.py").read_bytes() == (WORKER / "main.py").read_bytes()


def test_another_version_s_worker_is_left_as_it_is(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that starts at the same moment must not find these scripts in place of its own."""
    ours = worker_program().argv
    newer = tmp_path / "newer"
    shutil.copytree(WORKER, newer)
    (newer / "main.py").write_text("of another version", encoding="utf-8")
    monkeypatch.setattr("harness.debuggers.pykd.debugger.WORKER", newer)
    theirs = worker_program().argv
    monkeypatch.undo()
    assert ours != theirs
    scripts = {folder.name: (folder / "main.py").read_bytes() for folder in prefix.python.glob("worker-*")}
    assert len(scripts) == 2
    for argv, folder in ((ours, WORKER), (theirs, newer)):
        (name,) = (part.split("\\")[-2] for part in argv if part.endswith("main.py"))
        assert scripts[name] == (folder / "main.py").read_bytes()


def test_runs_with_other_engines_leave_each_other_s_links_alone(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [engine(tmp_path / name) for name in ("one", "two")]
    named = []
    for folder in folders:
        monkeypatch.setenv(ENGINE_VARIABLE, str(folder))
        home, _, name = worker_program().argv[-1].rpartition("\\")
        assert home == "C:\\procnotify"
        named.append(name)
    monkeypatch.delenv(ENGINE_VARIABLE)
    assert worker_program().argv[-1] == "pykd"
    assert links(prefix) == dict(zip(named, folders, strict=True))


def test_a_folder_named_through_a_link_is_the_folder(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = engine(tmp_path / "one")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for name in (str(folder), "link"):
        monkeypatch.setenv(ENGINE_VARIABLE, name)
        worker_program()
    assert list(links(prefix).values()) == [folder]


def test_runs_that_start_at_once_do_not_disturb_each_other(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds nothing there, as all do that look before the first one has made it."""
    monkeypatch.setenv(ENGINE_VARIABLE, str(engine(tmp_path / "new")))
    monkeypatch.setattr(Path, "is_symlink", lambda path: False)
    monkeypatch.setattr(Path, "is_file", lambda path: not path.parent.name.startswith("worker-"))
    with ThreadPoolExecutor(8) as pool:
        programs = list(pool.map(lambda _: worker_program(), range(32)))
    assert len({tuple(program.argv) for program in programs}) == 1
    assert not list(prefix.python.rglob(".*"))


def test_a_name_in_the_way_is_one_line(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, str(engine(tmp_path / "new")))
    worker_program()
    (name,) = links(prefix)
    (prefix.python / name).unlink()
    (prefix.python / name).mkdir()
    with pytest.raises(
        PrefixError, match=r"the system refused: .*Is a directory.*; the cache folder"
    ) as error:
        worker_program()
    assert str(error.value).isprintable()
    assert not list(prefix.python.glob(".*"))


def test_a_folder_without_an_engine(
    tmp_path: Path, prefix: WinePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"where there is no dbgeng.dll; it takes a folder .*; unset it"):
        debugger_factory("pykd")


def test_a_second_attempt_ends_the_programs_only_where_no_other_worker_runs(
    prefix: WinePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = worker_program()
    assert program.retry is not None
    with program.hold():
        program.retry(True)
    program.retry(False)
    assert not (tmp_path / "asked").exists()
    program.retry(True)
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "wineserver -k\n"
    (tmp_path / "wineserver").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    program.retry(True)  # the attempt itself will say what is wrong


def test_reconnect_is_refused_with_who_does_it() -> None:
    with pytest.raises(UsageError, match="pykd cannot do what 'reconnect' of the connection says") as raised:
        open_pykd("com:port=COM1,baud=115200,reconnect")
    assert "--debugger native" in raised.value.hint
