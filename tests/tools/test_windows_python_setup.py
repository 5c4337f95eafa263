"""The setup of the Windows Python: each stage once, whole or not at all; what it is made of is pinned."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_wine import FakeWine, Steps
from made_pieces import deb_bytes, zip_bytes
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.wine.command import Finished
from harness.wine.errors import DownloadError, PrefixError, WineMissing
from harness.wine.pieces import Deb
from harness.wine.prefix import WinePrefix
from harness.wine.report import Silent
from tools.windows_python import launcher, lock, pieces, setup
from tools.windows_python.debugger import add_pykd, pykd_environment
from tools.windows_python.prefix import ROOT, WindowsPython

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the recipe is for machines without Windows")

STEPS = [
    "creating the Wine prefix",
    "unpacking Python 3.11 for Windows",
    "installing the project's dependencies for Windows",
    "building python.exe, python3.dll and bcryptprimitives.dll",
    "starting it and loading what has a binary part",
]
FACTS = {"python": "3.11.7", "platform": "win32"}
PROVED = 'echo \'{"python": "3.11.7", "platform": "win32"}\'; exit 0\n'
LOCKED = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>\S+) --hash=sha256:[0-9a-f]{64}")


@pytest.fixture
def wine_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWine:
    fake = FakeWine(tmp_path / "wine")
    fake.verify.write_text(PROVED, encoding="utf-8")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(fake.program))
    return fake


class Pip:
    """What is asked of pip, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answer = Finished(0, "")

    def __call__(self, command: str, python: str, arguments: Iterable[str], reporter: object) -> Finished:
        words = [command, python, *arguments]
        self.asked.append(words)
        (Path(words[words.index("--target") + 1]) / "click.py").write_bytes(b"")
        return self.answer


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    pip = Pip()
    monkeypatch.setattr(setup, "run_pip", pip)
    return pip


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The interpreter's pieces, each with the least that is taken out of it."""
    folder = tmp_path / "pieces"
    folder.mkdir()
    wheel = folder / pieces.INTERPRETER.filename
    wheel.write_bytes(
        zip_bytes(
            {
                "deploy_libs/python311.dll": b"the interpreter",
                "deploy_libs/_socket.pyd": b"a module",
                "deploy_libs/msvcp140.dll": b"the C runtime",
            }
        )
    )
    pinned = replace(pieces.INTERPRETER, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(pieces, "INTERPRETER", pinned)
    for deb, name in zip(pieces.LIBRARY, ("os.py", "json/__init__.py"), strict=True):
        contents = {f"./usr/lib/python3.11/{name}": b"", "./usr/lib/python3.9/site.py": b""}
        (folder / f"{deb.package}_3.11.2-6_amd64.deb").write_bytes(deb_bytes(contents))
    return folder


@pytest.fixture
def prefix(
    tmp_path: Path, wine_program: FakeWine, pip: Pip, source: Path, monkeypatch: pytest.MonkeyPatch
) -> WindowsPython:
    """A place for it; the compiler is not what is tried here."""

    def build(folder: Path) -> None:
        (folder / "python.exe").write_bytes(b"MZ")

    monkeypatch.setattr(launcher, "build_programs", build)
    return WindowsPython(tmp_path / "cache" / "windows-python")


def heard(prefix: WindowsPython, source: Path) -> list[str]:
    """A setup that ends well; the steps it took."""
    steps = Steps()
    assert setup.setup(prefix, steps, source=source) == FACTS
    return steps.heard


def contents(prefix: WindowsPython) -> set[str]:
    return {path.relative_to(prefix.python).as_posix() for path in prefix.python.rglob("*") if path.is_file()}


def test_the_first_setup_takes_every_step_and_the_second_starts_nothing_but_the_question_for_wines_version(
    prefix: WindowsPython, source: Path, wine_program: FakeWine, pip: Pip
) -> None:
    assert heard(prefix, source) == STEPS
    assert contents(prefix) == {
        *("python.exe", "python311.dll", "DLLs/_socket.pyd", "Lib/os.py", "Lib/json/__init__.py"),
        "Lib/site-packages/click.py",
    }
    assert len(pip.asked) == 1
    wine_program.asked()
    assert heard(prefix, source) == []
    assert wine_program.asked() == ["--version"]
    assert len(pip.asked) == 1


def test_pip_is_asked_for_what_is_pinned_and_compiles_nothing(
    prefix: WindowsPython, source: Path, pip: Pip
) -> None:
    heard(prefix, source)
    (asked,) = pip.asked
    assert asked[:2] == ["install", "3.11"]
    assert {"--require-hashes", "--no-compile", "--no-index"} <= set(asked)
    assert asked[asked.index("-r") + 1] == str(pieces.REQUIREMENTS)
    assert asked[asked.index("--find-links") + 1] == str(source)


REASONS = [KeyboardInterrupt(), RuntimeError("an error of ours"), DownloadError("an error of the rig")]


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_interrupted_at_a_step_the_next_setup_goes_on_there(
    prefix: WindowsPython, source: Path, at: str, reason: BaseException
) -> None:
    with pytest.raises(type(reason)):
        setup.setup(prefix, Steps(at, reason), source=source)
    assert not prefix.complete
    assert heard(prefix, source) == STEPS[STEPS.index(at) :]


def test_what_depends_on_another_ingredient_is_made_again(
    prefix: WindowsPython,
    source: Path,
    wine_program: FakeWine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard(prefix, source)
    other = tmp_path / "requirements.txt"
    other.write_text("click==1 --hash=sha256:00\n", encoding="utf-8")
    monkeypatch.setattr(pieces, "REQUIREMENTS", other)
    assert heard(prefix, source) == STEPS[2:]
    wine_program.version.write_text("wine-9.0\n", encoding="utf-8")
    assert heard(prefix, source) == [STEPS[0], STEPS[4]]
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "python.c").write_text("another", encoding="utf-8")
    monkeypatch.setattr(pieces, "SOURCES", sources)
    assert heard(prefix, source) == STEPS[3:]
    monkeypatch.setattr(pieces, "INTERPRETER", replace(pieces.INTERPRETER, sha256="0" * 64))
    with pytest.raises(DownloadError, match="SHA-256"):
        setup.setup(prefix, Silent(), source=source)
    assert not prefix.complete


def test_the_prefix_has_drive_c_with_the_python_and_drive_z(
    prefix: WindowsPython, source: Path, wine_program: FakeWine
) -> None:
    heard(prefix, source)
    assert sorted(link.name for link in (prefix.prefix / "dosdevices").iterdir()) == ["c:", "z:"]
    assert (prefix.prefix / "drive_c" / "Python311").resolve() == prefix.python
    assert not (prefix.prefix / "drive_c" / "users" / "me" / "Documents").is_symlink()


def test_somebody_at_work_in_it_is_not_ended(
    prefix: WindowsPython, source: Path, wine_program: FakeWine
) -> None:
    heard(prefix, source)
    wine_program.version.write_text("wine-9.0\n", encoding="utf-8")
    with prefix.use(), pytest.raises(PrefixError, match="at work"):
        setup.setup(prefix, Silent(), source=source)
    assert prefix.complete, "whoever comes now can still start it"


FAILS = {
    "it says why": ("echo 'ImportError: DLL load failed'; exit 1\n", "ImportError: DLL load failed"),
    "without a word": ("exit 5\n", "exit code 5"),
    "no facts": ("echo 17; exit 0\n", "17"),
}


@pytest.mark.parametrize(("script", "expected"), FAILS.values(), ids=FAILS.keys())
def test_what_was_built_does_not_work(
    prefix: WindowsPython, source: Path, wine_program: FakeWine, script: str, expected: str
) -> None:
    wine_program.verify.write_text(script, encoding="utf-8")
    with pytest.raises(PrefixError, match=f"does not work: {expected}"):
        setup.setup(prefix, Silent(), source=source)
    assert not prefix.complete
    wine_program.verify.write_text(PROVED, encoding="utf-8")
    assert heard(prefix, source) == STEPS[4:]


def test_pip_fails(prefix: WindowsPython, source: Path, pip: Pip) -> None:
    pip.answer = Finished(1, "ERROR: one\nERROR: No matching distribution\n")
    with pytest.raises(DownloadError, match="not installed: No matching distribution") as error:
        setup.setup(prefix, Silent(), source=source)
    assert "\n" not in str(error.value)
    assert not (prefix.python / "Lib" / "site-packages").exists()


def test_a_folder_that_lacks_a_piece(prefix: WindowsPython, source: Path) -> None:
    (source / pieces.INTERPRETER.filename).unlink()
    with pytest.raises(DownloadError, match=f"lacks {re.escape(pieces.INTERPRETER.pattern)}"):
        setup.setup(prefix, Silent(), source=source)


def test_no_wine(
    prefix: WindowsPython, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROCNOTIFY_WINE")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("harness.wine.prefix._LOADERS", ("wine",))
    with pytest.raises(WineMissing, match="apt-get install"):
        setup.setup(prefix, Silent(), source=source)


def locked() -> dict[str, str]:
    """Name and version of every wheel in ``requirements.txt``."""
    lines = [
        line
        for line in pieces.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    matches = [LOCKED.fullmatch(line) for line in lines]
    assert None not in matches, lines[matches.index(None)]
    return {canonicalize_name(match["name"]): match["version"] for match in matches if match}


def test_the_lists_of_the_project_are_the_source() -> None:
    names = {Requirement(text).name for text in pieces.wanted(ROOT)}
    assert {"click", "unicorn", "ziglang", "hypothesis", "colorama"} <= names
    assert not {"ntoseye", "ruff", "mypy"} & names


@pytest.mark.parametrize("text", pieces.wanted(ROOT))
def test_every_dependency_is_pinned_to_a_version_that_will_do(text: str) -> None:
    wanted = Requirement(text)
    if wanted.marker is not None and not wanted.marker.evaluate({"sys_platform": "win32"}):
        assert canonicalize_name(wanted.name) not in locked()
        return
    version = locked().get(canonicalize_name(wanted.name))
    assert version is not None, f"{wanted.name} is not in {pieces.REQUIREMENTS.name}: run the lock command"
    assert wanted.specifier.contains(version)


def test_a_report_of_pip_becomes_lines_that_pip_reads() -> None:
    def item(name: str, version: str, digest: str) -> dict[str, object]:
        return {
            "metadata": {"name": name, "version": version},
            "download_info": {"archive_info": {"hashes": {"sha256": digest}}},
        }

    lines = lock.lines_of({"install": [item("PyYAML", "6.0", "b" * 64), item("click", "8.1", "a" * 64)]})
    assert lines == [f"click==8.1 --hash=sha256:{'a' * 64}", f"pyyaml==6.0 --hash=sha256:{'b' * 64}"]
    assert all(LOCKED.fullmatch(line) for line in lines)


def test_of_the_hosts_settings_none_reaches_the_python_that_names_a_program_of_the_host(
    prefix: WindowsPython,
) -> None:
    base = {"PYTHONPATH": "/x", "WINEPREFIX": "/x", "PROCNOTIFY_WINE": "/x", "PROCNOTIFY_REQUIRE": "all"}
    environment = prefix.project_environment(base, Path("/checkout"))
    assert environment["PROCNOTIFY_REQUIRE"] == "all"
    assert "PROCNOTIFY_WINE" not in environment
    assert "PYTHONHOME" not in environment
    assert environment["WINEPREFIX"] == str(prefix.prefix)
    first, second = environment["PYTHONPATH"].split(";")
    assert first == r"Z:\checkout"
    metadata = Path(second.removeprefix("Z:").replace("\\", "/"))
    (folder,) = metadata.iterdir()
    assert "Name: procnotify" in (folder / "METADATA").read_text(encoding="utf-8")
    assert "harness.pytest_plugin" in (folder / "entry_points.txt").read_text(encoding="utf-8")


def test_the_pinned_interpreter_matches_its_own_pattern() -> None:
    assert Path(pieces.INTERPRETER.filename).match(pieces.INTERPRETER.pattern)
    assert pieces.INTERPRETER.filename.startswith(pieces.INTERPRETER.requirement.replace("==", "-") + "-")


def test_a_python_with_pykd_is_laid_out_as_an_installation(
    prefix: WindowsPython, source: Path, tmp_path: Path
) -> None:
    heard(prefix, source)
    assert pykd_environment(prefix) == {}
    origin = WinePrefix(tmp_path / "origin")
    for name in (
        "python.exe",
        "DLLs/_socket.pyd",
        "Lib/os.py",
        "site-packages/pykd/pykd.pyd",
        "worker/main.py",
    ):
        (origin.python / name).parent.mkdir(parents=True, exist_ok=True)
        (origin.python / name).write_text(name, encoding="utf-8")
    origin.stamps.mkdir()
    for name in ("python", "pykd", "launcher", "verified"):
        (origin.stamps / name).write_text("1", encoding="utf-8")
    steps = Steps()
    add_pykd(prefix, steps, origin)
    add_pykd(prefix, steps, origin)
    assert steps.heard == ["copying Python 3.9 with pykd"]
    there = prefix.prefix / "drive_c" / "Python39"
    assert {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()} == {
        *("python.exe", "DLLs/_socket.pyd", "Lib/os.py", "Lib/site-packages/pykd/pykd.pyd"),
    }
    assert pykd_environment(prefix) == {"PROCNOTIFY_PYKD_PYTHON": r"C:\Python39\python.exe"}
    (origin.stamps / "pykd").write_text("2", encoding="utf-8")
    with prefix.use(), pytest.raises(PrefixError, match="at work"):
        add_pykd(prefix, steps, origin)
    assert there.is_dir()


def test_what_is_missing_or_half_there_is_downloaded_and_gone_when_all_is_done(
    prefix: WindowsPython, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bring(name: str, folder: Path) -> None:
        fetched.append(name)
        shutil.copy(source / name, folder)

    def bring_all(debs: Iterable[Deb], folder: Path, reporter: object) -> None:
        for deb in debs:
            bring(f"{deb.package}_3.11.2-6_amd64.deb", folder)

    fetched: list[str] = []
    monkeypatch.setattr(setup, "fetch_wheel", lambda wheel, folder, reporter: bring(wheel.filename, folder))
    monkeypatch.setattr(setup, "fetch_debs", bring_all)
    prefix.downloads.mkdir(parents=True)
    wheel = pieces.INTERPRETER.filename
    (prefix.downloads / wheel).write_bytes((source / wheel).read_bytes()[:-9])
    whole = f"{pieces.LIBRARY[0].package}_3.11.2-6_amd64.deb"
    shutil.copy(source / whole, prefix.downloads)
    with pytest.raises(KeyboardInterrupt):
        setup.setup(prefix, Steps(STEPS[2], KeyboardInterrupt()))
    assert fetched == [wheel, f"{pieces.LIBRARY[1].package}_3.11.2-6_amd64.deb"]
    assert setup.setup(prefix, Silent()) == FACTS
    assert len(fetched) == 2
    assert not prefix.downloads.exists()
