"""The stages of ``procnotify wine setup``: each whole or not at all, whatever happens in the middle."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_wine import FakeWine, Steps
from made_pieces import MINIMAL, PYKD, PYTHON, STDLIB, make_pieces, zip_bytes

from harness.wine import boot, interpreter, pieces, setup
from harness.wine.errors import DownloadError, PrefixError, WineMissing
from harness.wine.pieces import Deb, Wheel
from harness.wine.prefix import WinePrefix
from harness.wine.report import Silent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")

FACTS = {"python": "3.9.13", "pykd": "0.3.4.99"}
ALL_STEPS = [
    "creating the Wine prefix",
    "unpacking Python 3.9 for Windows",
    "unpacking pykd and DbgEng",
    "building the launcher",
    "importing pykd in the prefix",
]


@pytest.fixture
def wine_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWine:
    fake = FakeWine(tmp_path / "wine")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(fake.program))
    monkeypatch.setenv("PATH", f"{fake.program.parent}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is not what is tried here."""

    def build(folder: Path) -> None:
        (folder / "python.exe").write_bytes(b"MZ")

    monkeypatch.setattr(setup, "build_launcher", build)


@pytest.fixture
def prefix(tmp_path: Path, wine_program: FakeWine, launcher: None) -> WinePrefix:
    return WinePrefix(tmp_path / "cache" / "wine")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_pieces(tmp_path / "pieces")


def run(prefix: WinePrefix, source: Path | None) -> list[str]:
    """A setup that ends well; the steps it took."""
    steps = Steps()
    assert setup.setup(prefix, steps, source=source) == FACTS
    return steps.heard


def contents(prefix: WinePrefix) -> dict[str, bytes]:
    return {
        path.relative_to(prefix.python).as_posix(): path.read_bytes()
        for path in prefix.python.rglob("*")
        if path.is_file()
    }


WHOLE = {
    "python.exe": b"MZ",
    "python39.dll": b"the interpreter",
    "DLLs/_socket.pyd": b"a module",
    "Lib/os.py": b"import abc\n",
    "Lib/json/__init__.py": b"",
    "site-packages/pykd/pykd.pyd": b"pykd",
    "site-packages/pykd/dbgeng.dll": b"DbgEng",
}


def test_the_first_setup_takes_every_step_and_the_second_only_verifies(
    prefix: WinePrefix, source: Path, wine_program: FakeWine
) -> None:
    assert not prefix.complete
    assert run(prefix, source) == ALL_STEPS
    assert prefix.complete
    assert contents(prefix) == WHOLE
    before = {path: path.stat().st_mtime_ns for path in prefix.python.rglob("*")}
    wine_program.asked()
    for again in (source, None):
        assert run(prefix, again) == ALL_STEPS[-1:]
    assert not any("wineboot" in line for line in wine_program.asked())
    assert {path: path.stat().st_mtime_ns for path in prefix.python.rglob("*")} == before


def test_only_the_stage_with_another_ingredient_is_repeated(
    prefix: WinePrefix, source: Path, wine_program: FakeWine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(prefix, source)
    (source / "pykd-0.3.4.991-cp39-none-win_amd64.whl").write_bytes(zip_bytes({"pykd/pykd.pyd": b"new"}))
    assert run(prefix, source) == [ALL_STEPS[2], ALL_STEPS[4]]
    assert contents(prefix)["site-packages/pykd/pykd.pyd"] == b"new"
    assert "site-packages/pykd/dbgeng.dll" not in contents(prefix)
    wine_program.version.write_text("wine-9.0\n", encoding="utf-8")
    assert run(prefix, source) == [ALL_STEPS[0], ALL_STEPS[4]]
    monkeypatch.setattr(setup, "launcher_fingerprint", lambda: "another")
    assert run(prefix, source) == [ALL_STEPS[3], ALL_STEPS[4]]


REASONS = [KeyboardInterrupt(), RuntimeError("an error of ours"), DownloadError("an error of the rig")]


@pytest.mark.parametrize("at", ALL_STEPS)
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_interrupted_at_a_step_the_next_setup_goes_on_there(
    prefix: WinePrefix, source: Path, at: str, reason: BaseException
) -> None:
    with pytest.raises(type(reason)):
        setup.setup(prefix, Steps(at, reason), source=source)
    assert not prefix.complete
    assert run(prefix, source) == ALL_STEPS[ALL_STEPS.index(at) :]
    assert contents(prefix) == WHOLE


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
@pytest.mark.parametrize("work", ["unpack_zip", "unpack_deb"])
def test_interrupted_within_an_archive_no_part_of_it_is_taken_for_whole(
    prefix: WinePrefix,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: str,
    reason: BaseException,
) -> None:
    original: Callable[..., int] = getattr(interpreter, work)

    def stops(path: Path, destination: Path, rename: object) -> int:
        original(path, destination, rename)
        raise reason

    with monkeypatch.context() as patch:
        patch.setattr(interpreter, work, stops)
        with pytest.raises(type(reason)):
            setup.setup(prefix, Silent(), source=source)
    assert not any(path.name.startswith(".") for path in prefix.python.iterdir())
    assert not (prefix.python / ("DLLs" if work == "unpack_zip" else "Lib")).exists()
    assert not prefix.complete
    assert run(prefix, source) == ALL_STEPS[1:]
    assert contents(prefix) == WHOLE


def test_a_stage_that_is_repeated_and_interrupted_is_no_longer_done(
    prefix: WinePrefix, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(prefix, source)
    (source / PYKD).write_bytes(zip_bytes({"pykd/pykd.pyd": b"a longer one"}))
    with pytest.raises(KeyboardInterrupt):
        setup.setup(prefix, Steps(ALL_STEPS[2], KeyboardInterrupt()), source=source)
    assert not prefix.complete
    assert run(prefix, source) == [ALL_STEPS[2], ALL_STEPS[4]]
    assert contents(prefix)["site-packages/pykd/pykd.pyd"] == b"a longer one"


def test_what_a_killed_setup_left_behind_is_swept_away(prefix: WinePrefix, source: Path) -> None:
    for name in (".DLLs-abc", ".Lib-abc", ".site-packages-abc"):
        (prefix.python / name / "half").mkdir(parents=True)
    prefix.prefix.mkdir()
    (prefix.prefix / "half").touch()
    run(prefix, source)
    assert contents(prefix) == WHOLE
    assert not any(path.name.startswith(".") for path in prefix.python.iterdir())
    assert not (prefix.prefix / "half").exists()


def test_programs_of_an_old_prefix_are_ended_before_it_is_replaced(
    prefix: WinePrefix, source: Path, wine_program: FakeWine
) -> None:
    prefix.prefix.mkdir(parents=True)
    run(prefix, source)
    asked = wine_program.asked()
    assert asked.index("wineserver -k") < asked.index("wineboot -i")


def test_a_debugger_at_work_is_not_ended(prefix: WinePrefix, source: Path, wine_program: FakeWine) -> None:
    run(prefix, source)
    wine_program.version.write_text("wine-9.0\n", encoding="utf-8")
    with prefix.use():
        wine_program.asked()
        for action in (lambda: run(prefix, source), lambda: setup.remove(prefix)):
            with pytest.raises(PrefixError) as error:
                action()
            assert one_line(error) == f"a debugger is at work in {prefix.root}; wait for its end"
        assert "wineserver -k" not in wine_program.asked()
        assert (prefix.prefix / "system.reg").is_file()
    assert run(prefix, source) == [ALL_STEPS[0], ALL_STEPS[-1]]


def test_a_repeated_proof_goes_on_beside_a_debugger(prefix: WinePrefix, source: Path) -> None:
    run(prefix, source)
    with prefix.use():
        assert run(prefix, source) == ALL_STEPS[-1:]


def test_the_prefix_is_fenced(prefix: WinePrefix, source: Path, wine_program: FakeWine) -> None:
    run(prefix, source)
    assert [link.name for link in (prefix.prefix / "dosdevices").iterdir()] == ["c:"]
    links = {
        path.relative_to(prefix.prefix).as_posix(): str(path.readlink())
        for path in prefix.prefix.rglob("*")
        if path.is_symlink()
    }
    assert links == {"dosdevices/c:": "../drive_c", "drive_c/procnotify": "../../python"}
    for name in ("Documents", "Music"):
        assert (prefix.prefix / "drive_c/users/me" / name).is_dir()
    assert (prefix.prefix / "drive_c/procnotify/python.exe").samefile(prefix.python / "python.exe")
    assert wine_program.home.is_dir()


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    line = str(error.value)
    assert line.isprintable()
    return line


def test_two_at_a_time(prefix: WinePrefix, source: Path) -> None:
    errors: list[str] = []

    class Second(Steps):
        def step(self, text: str) -> None:
            if text == ALL_STEPS[1]:
                for work in (
                    lambda: setup.setup(prefix, Silent(), source=source),
                    lambda: setup.remove(prefix),
                ):
                    with pytest.raises(PrefixError) as error:
                        work()
                    errors.append(one_line(error))

    setup.setup(prefix, Second(), source=source)
    assert errors == [f"another setup is at work in {prefix.root}; wait for its end"] * 2
    assert run(prefix, source) == ALL_STEPS[-1:]


def test_no_wine(prefix: WinePrefix, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROCNOTIFY_WINE", "/nowhere/wine")
    with pytest.raises(WineMissing, match="PROCNOTIFY_WINE names /nowhere/wine"):
        setup.setup(prefix, Silent(), source=source)
    assert not prefix.root.exists()


def test_a_wine_that_is_no_program(prefix: WinePrefix, source: Path, wine_program: FakeWine) -> None:
    wine_program.program.write_bytes(b"\0\0odd")
    with pytest.raises(WineMissing, match="cannot be started: Exec format error") as error:
        setup.setup(prefix, Silent(), source=source)
    assert str(wine_program.program) in one_line(error)


BOOTS = {
    "says why": (
        "echo one; echo 'wine: could not load kernel32.dll' >&2; exit 53",
        "could not load kernel32.dll",
    ),
    "without a word": ("exit 1", "exit code 1"),
    "well, but without a registry": ("echo done; exit 0", "done"),
}


@pytest.mark.parametrize(("script", "expected"), BOOTS.values(), ids=BOOTS.keys())
def test_wine_fails_to_make_its_prefix(
    prefix: WinePrefix, source: Path, wine_program: FakeWine, script: str, expected: str
) -> None:
    wine_program.hook.write_text(script + "\n", encoding="utf-8")
    with pytest.raises(PrefixError, match="could not create its prefix") as error:
        setup.setup(prefix, Silent(), source=source)
    assert expected in one_line(error)
    wine_program.hook.unlink()
    assert run(prefix, source) == ALL_STEPS


def test_wine_never_ends_making_its_prefix(
    prefix: WinePrefix, source: Path, wine_program: FakeWine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine_program.hook.write_text("sleep 600\n", encoding="utf-8")
    monkeypatch.setattr(boot, "BOOT_TIMEOUT", 0.2)
    with pytest.raises(PrefixError, match="no answer in time"):
        setup.setup(prefix, Silent(), source=source)


VERIFIES = {
    "says why": ("echo 'ImportError: DLL load failed'; exit 1", "ImportError: DLL load failed"),
    "without a word": ("exit 5", "exit code 5"),
    "no facts": ("echo 17; exit 0", "17"),
    "facts and a failure": ("echo '{}'; exit 1", "{}"),
}


@pytest.mark.parametrize(("script", "expected"), VERIFIES.values(), ids=VERIFIES.keys())
def test_a_prefix_in_which_pykd_cannot_be_imported_any_more_is_not_complete(
    prefix: WinePrefix, source: Path, wine_program: FakeWine, script: str, expected: str
) -> None:
    run(prefix, source)
    wine_program.verify.write_text(script + "\n", encoding="utf-8")
    with pytest.raises(PrefixError, match="pykd cannot be imported") as error:
        setup.setup(prefix, Silent())
    assert f": {expected}; run `procnotify wine remove`" in one_line(error)
    assert not prefix.complete
    wine_program.verify.unlink()
    assert run(prefix, None) == ALL_STEPS[-1:]
    assert prefix.complete


def test_programs_are_ended_before_the_proof_only_where_nobody_can_use_the_prefix_yet(
    prefix: WinePrefix, source: Path, wine_program: FakeWine
) -> None:
    """A server that was caught starting would let the proof wait for ever; a session would lose its own."""
    run(prefix, source)
    *_, ended, proof = wine_program.asked()
    assert ended == "wineserver -k"
    assert "python.exe" in proof
    run(prefix, source)
    assert not any("wineserver" in line for line in wine_program.asked())


def test_a_proof_that_is_interrupted_is_none(
    prefix: WinePrefix, source: Path, wine_program: FakeWine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(prefix, source)
    original = setup.run_command

    def interrupted(command: list[str], **words: object) -> object:
        if any("python.exe" in word for word in command):
            raise KeyboardInterrupt
        return original(command, **words)

    with monkeypatch.context() as patch:
        patch.setattr(setup, "run_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            setup.setup(prefix, Silent())
    assert not prefix.complete
    wine_program.asked()
    assert run(prefix, None) == ALL_STEPS[-1:]
    assert "wineserver -k" in wine_program.asked()


@pytest.mark.parametrize("name", [PYTHON, PYKD, MINIMAL, STDLIB])
def test_a_folder_of_the_users_that_lacks_one(prefix: WinePrefix, source: Path, name: str) -> None:
    (source / name).unlink()
    with pytest.raises(DownloadError) as error:
        setup.setup(prefix, Silent(), source=source)
    line = one_line(error)
    assert line.startswith(f"{source} lacks {name.partition('-')[0]}")
    assert line.endswith("; or leave out --from to download them")
    assert "," not in line


def test_a_wheel_without_the_interpreter(prefix: WinePrefix, source: Path) -> None:
    (source / PYTHON).write_bytes(zip_bytes({"panda3d/core.pyd": b""}))
    with pytest.raises(DownloadError, match=r"holds no deploy_libs/python39\.dll") as error:
        setup.setup(prefix, Silent(), source=source)
    assert PYTHON in one_line(error)
    assert not (prefix.python / "DLLs").exists()


def no_space(*arguments: object, **words: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/file")


def read_only(*arguments: object, **words: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), "some/file")


@pytest.mark.parametrize("what", ["mkdir", "write_text", "replace", "symlink_to", "open"])
@pytest.mark.parametrize("refusal", [no_space, read_only])
def test_what_the_system_refuses_is_one_line(
    prefix: WinePrefix, source: Path, monkeypatch: pytest.MonkeyPatch, what: str, refusal: Callable[..., None]
) -> None:
    original = getattr(Path, what)

    def refused_in_the_cache(path: Path, *arguments: object, **words: object) -> object:
        if path.is_relative_to(prefix.root):
            refusal()
        return original(path, *arguments, **words)

    with monkeypatch.context() as patch:
        patch.setattr(Path, what, refused_in_the_cache)
        with pytest.raises(PrefixError) as error:
            setup.setup(prefix, Silent(), source=source)
    line = one_line(error)
    assert line.startswith("the system refused: some/file: ")
    assert "PROCNOTIFY_CACHE" in line
    assert not prefix.complete
    run(prefix, source)
    assert contents(prefix) == WHOLE


def test_a_file_in_the_place_of_the_cache(tmp_path: Path, wine_program: FakeWine, source: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(PrefixError, match=r"the system refused: .*cache"):
        setup.setup(WinePrefix(tmp_path / "cache" / "wine"), Silent(), source=source)


class Registry:
    """What stands in for pip and apt: files of one store, some of them cut off half way."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.fetched: list[str] = []
        self.cut: str | None = None

    def bring(self, name: str, folder: Path) -> None:
        self.fetched.append(name)
        whole = (self.store / name).read_bytes()
        if self.cut == name:
            self.cut = None
            (folder / name).write_bytes(whole[: len(whole) // 2])
            raise KeyboardInterrupt
        (folder / name).write_bytes(whole)

    def wheel(self, wheel: Wheel, folder: Path, reporter: object) -> None:
        self.bring({pieces.PYKD: PYKD, pieces.PYTHON: PYTHON}[wheel], folder)

    def debs(self, debs: list[Deb], folder: Path, reporter: object) -> None:
        for deb in debs:
            self.bring({pieces.DEBS[0]: MINIMAL, pieces.DEBS[1]: STDLIB}[deb], folder)


@pytest.fixture
def registry(source: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry(source)
    monkeypatch.setattr(setup, "fetch_wheel", registry.wheel)
    monkeypatch.setattr(setup, "fetch_debs", registry.debs)
    return registry


ORDER = [MINIMAL, STDLIB, PYKD, PYTHON]


def test_downloads_are_gone_once_the_setup_is_complete(prefix: WinePrefix, registry: Registry) -> None:
    run(prefix, None)
    assert registry.fetched == ORDER
    assert not prefix.downloads.exists()
    run(prefix, None)
    assert registry.fetched == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_download_cut_off_half_way_is_fetched_again_and_the_others_are_kept(
    prefix: WinePrefix, registry: Registry, name: str
) -> None:
    registry.cut = name
    with pytest.raises(KeyboardInterrupt):
        setup.setup(prefix, Silent())
    registry.fetched.clear()
    run(prefix, None)
    assert registry.fetched == ORDER[ORDER.index(name) :]
    assert contents(prefix) == WHOLE


def test_downloads_are_kept_until_the_setup_is_complete(prefix: WinePrefix, registry: Registry) -> None:
    with pytest.raises(RuntimeError):
        setup.setup(prefix, Steps(ALL_STEPS[1], RuntimeError()))
    registry.fetched.clear()
    run(prefix, None)
    assert registry.fetched == []


def test_a_registry_that_brings_nothing(
    prefix: WinePrefix, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "fetch_debs", lambda debs, folder, reporter: None)
    with pytest.raises(DownloadError, match=r"libpython3\.9-minimal.* is not among what was downloaded"):
        setup.setup(prefix, Silent())


def test_remove_deletes_the_prefix_and_nothing_beside_it(
    prefix: WinePrefix, source: Path, wine_program: FakeWine
) -> None:
    beside = prefix.root.parent / "builds"
    beside.mkdir(parents=True)
    run(prefix, source)
    wine_program.asked()
    assert setup.remove(prefix) is True
    assert wine_program.asked() == ["wineserver -k"]
    assert sorted(path.name for path in prefix.root.iterdir()) == ["in-use", "lock"]
    assert beside.is_dir()
    assert wine_program.home.is_dir()
    assert source.is_dir()
    assert setup.remove(prefix) is False
    assert run(prefix, source) == ALL_STEPS


def test_remove_needs_no_wine(prefix: WinePrefix, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(prefix, source)
    monkeypatch.setenv("PROCNOTIFY_WINE", "/nowhere/wine")
    assert setup.remove(prefix) is True


def test_remove_says_what_it_could_not_delete(
    prefix: WinePrefix, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(prefix, source)
    prefix.downloads.mkdir()
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    with pytest.raises(PrefixError, match="python, downloads, prefix is still there"):
        setup.remove(prefix)
