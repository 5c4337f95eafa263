"""The registries, spoken to through programs that stand in for pip and apt."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from made_pieces import MINIMAL, STDLIB, deb_bytes, zip_bytes

from harness.wine import debian, pypi
from harness.wine.debian import archive_address, fetch_debs
from harness.wine.errors import DownloadError
from harness.wine.pieces import DEBS, Wheel
from harness.wine.pypi import fetch_wheel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")

DEBIAN = "http://mirror.example/debian/"
SECURITY = "http://mirror.example/debian-security/"
UNKNOWN = "$(ORIGIN)"

ADDRESSES = {
    "one-line source": (f"{DEBIAN}|bookworm|main|Debian", DEBIAN),
    "no slash at the end": (
        "http://mirror.example/debian|bookworm|main|Debian",
        "http://mirror.example/debian",
    ),
    "deb822 with several suites and components": (
        f"{DEBIAN}|bookworm|contrib|Debian\n{DEBIAN}|bookworm|main|Debian\n"
        f"{DEBIAN}|bookworm-updates|main|Debian\n{SECURITY}|bookworm-security|main|Debian",
        DEBIAN,
    ),
    "security first": (f"{SECURITY}|bookworm-security|main|Debian\n{DEBIAN}|bookworm|main|Debian", DEBIAN),
    "security alone": (f"{SECURITY}|bookworm-security|main|Debian", None),
    "security as it was named before": (f"{SECURITY}|buster/updates|main|Debian", None),
    "updates and backports alone": (
        f"{DEBIAN}|bookworm-updates|main|Debian\n{DEBIAN}|bookworm-backports|main|Debian",
        None,
    ),
    "contrib alone": (f"{DEBIAN}|bookworm|contrib|Debian", None),
    "suite by its role": (f"{DEBIAN}|oldstable|main|Debian", DEBIAN),
    "unstable": (f"{DEBIAN}|sid|main|Debian", DEBIAN),
    "two mirrors": (f"{DEBIAN}|bookworm|main|Debian\nhttps://b.example/debian/|bookworm|main|Debian", DEBIAN),
    "a list of mirrors": (
        "mirror+file:///etc/apt/mirrors/debian.list|bookworm|main|Debian",
        "mirror+file:///etc/apt/mirrors/debian.list",
    ),
    "a proxy with a path of its own": (
        "https://proxy.example/artifactory/deb-remote/|bookworm|main|Debian",
        "https://proxy.example/artifactory/deb-remote/",
    ),
    "an installation disc first": (
        f"cdrom://[Debian GNU/Linux 12.0.0 _Bookworm_]/|bookworm|main|Debian\n{DEBIAN}|bookworm|main|Debian",
        DEBIAN,
    ),
    "an installation disc alone": ("cdrom://[Debian GNU/Linux 12]/|bookworm|main|Debian", None),
    "a browser's stable main first": (
        f"https://browser.example/deb/|stable|main|Browser Ltd.\n{DEBIAN}|bookworm|main|Debian",
        DEBIAN,
    ),
    "a browser's stable main on Ubuntu": (
        "https://browser.example/deb/|stable|main|Browser Ltd.\nhttp://ubuntu.example/ubuntu/|noble|main|Ubuntu",
        None,
    ),
    "another maker's /debian with Debian's suite": (
        "https://vpn.example/debian/|bookworm|main|VPN Ltd.",
        None,
    ),
    "Ubuntu": ("http://ubuntu.example/ubuntu/|jammy|main|Ubuntu", None),
    "Kali": ("http://kali.example/kali/|kali-rolling|main|Kali", None),
    "nothing": ("", None),
    "what is no answer": ("E: something\n\n|||\nmain\n", None),
    "release files not fetched": (f"{DEBIAN}|bookworm|main|{UNKNOWN}", DEBIAN),
    "release files not fetched, another maker first": (
        f"https://vpn.example/stable/debian/|bookworm|main|{UNKNOWN}\n{DEBIAN}|bookworm|main|{UNKNOWN}",
        DEBIAN,
    ),
    "release files not fetched, a browser alone": (
        f"https://browser.example/deb/|stable|main|{UNKNOWN}",
        None,
    ),
    "release files not fetched, a proxy": (
        f"https://proxy.example/artifactory/debian-remote/|bookworm|main|{UNKNOWN}",
        "https://proxy.example/artifactory/debian-remote/",
    ),
    "known before unknown": (
        f"https://vpn.example/debian/|bookworm|main|{UNKNOWN}\n{DEBIAN}|bookworm|main|Debian",
        DEBIAN,
    ),
}


@pytest.mark.parametrize(("targets", "expected"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_the_archive_is_found_among_the_sources(targets: str, expected: str | None) -> None:
    assert archive_address(targets) == expected


SOURCES = {
    "one-line": ("some.list", f"deb [trusted=yes] {DEBIAN} bookworm main contrib\n"),
    "deb822": (
        "some.sources",
        f"Types: deb deb-src\nURIs: {DEBIAN}\nSuites: bookworm bookworm-updates\nComponents: main\n",
    ),
}


@pytest.mark.parametrize(("name", "text"), SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt-get on this machine")
def test_a_real_apt_that_never_fetched_a_list_tells_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """As in most images of containers."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / name).write_text(text, encoding="utf-8")
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{tmp_path}/parts";\n'
        f'Dir::State::lists "{tmp_path}/lists";\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    assert debian._own_archive() == DEBIAN


class Said:
    """A reporter that keeps what it hears."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.bytes: list[tuple[int, int]] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def progress(self, done: int, total: int) -> None:
        self.bytes.append((done, total))


def one_line(error: pytest.ExceptionInfo[DownloadError]) -> str:
    line = str(error.value)
    assert line.isprintable()
    return line


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def apt(bin_folder: Path, tmp_path: Path) -> Path:
    """An apt-get that does what the files beside it say: one shell script for each of its commands."""
    program = bin_folder / "apt-get"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{tmp_path}/asked"\n'
        'for word in "$@"; do\n'
        '  case "$word" in indextargets|update|download)\n'
        f'    [ -e "{bin_folder}/$word" ] && . "{bin_folder}/$word"; exit 0;;\n'
        "  esac\n"
        "done\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    (bin_folder / "indextargets").write_text(f"echo '{DEBIAN}|bookworm|main|Debian'\n", encoding="utf-8")
    return bin_folder


def apt_brings(apt: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in (MINIMAL, STDLIB):
        (store / name).write_bytes(deb_bytes({"./usr/lib/python3.9/os.py": name.encode()}))
    (apt / "download").write_text(
        f'for last in "$@"; do :; done\ncp "{store}/${{last}}"_* .\n', encoding="utf-8"
    )


def test_apt_brings_both_packages_and_leaves_nothing_else(apt: Path, tmp_path: Path) -> None:
    apt_brings(apt, tmp_path)
    folder = tmp_path / "downloads"
    folder.mkdir()
    said = Said()
    fetch_debs(DEBS, folder, said)
    assert sorted(path.name for path in folder.iterdir()) == [MINIMAL, STDLIB]
    assert len(said.steps) == 3
    assert all(deb.package in step for deb, step in zip(DEBS, said.steps[1:], strict=True))


def test_apt_is_given_a_state_of_its_own(apt: Path, tmp_path: Path) -> None:
    apt_brings(apt, tmp_path)
    (apt / "update").write_text(
        'for word in "$@"; do case "$word" in\n'
        f'  Dir::Etc::sourcelist=*) cp "${{word#*=}}" "{tmp_path}/list";;\n'
        "esac; done\n",
        encoding="utf-8",
    )
    folder = tmp_path / "downloads"
    folder.mkdir()
    fetch_debs(DEBS, folder, Said())
    assert (tmp_path / "list").read_text(encoding="utf-8").endswith(f"{DEBIAN} bullseye main\n")
    listed, *changing = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert "indextargets" in listed
    assert len(changing) == 3
    for command in changing:
        for kept in ("Dir::State::lists", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourceparts"):
            assert f"-o {kept}=" in command
        assert f"Dir::State::lists={folder}/" in command


FAILS = {
    "update": (
        "update",
        "echo 'Err:1 bullseye'; echo 'E: The list could not be fetched' >&2; echo 'note'; exit 100",
        "the package list of bullseye was not downloaded: The list could not be fetched; ",
    ),
    "download": (
        "download",
        "echo 'E: Unable to locate package' >&2; exit 100",
        "libpython3.9-minimal was not downloaded: Unable to locate package; ",
    ),
    "without a word": ("update", "exit 7", "the package list of bullseye was not downloaded: exit code 7; "),
    "killed": ("update", "kill -9 $$", "the package list of bullseye was not downloaded: exit code -9; "),
}


@pytest.mark.parametrize(("command", "script", "expected"), FAILS.values(), ids=FAILS.keys())
def test_apt_fails(apt: Path, tmp_path: Path, command: str, script: str, expected: str) -> None:
    (apt / command).write_text(script + "\n", encoding="utf-8")
    with pytest.raises(DownloadError) as error:
        fetch_debs(DEBS, tmp_path, Said())
    assert one_line(error).startswith(expected)
    assert "--from" in one_line(error)


@pytest.mark.parametrize("script", ["", "exit 100", "echo 'http://ubuntu.example/|noble|main|Ubuntu'"])
def test_no_debian_among_the_sources(apt: Path, tmp_path: Path, script: str) -> None:
    (apt / "indextargets").write_text(script + "\n", encoding="utf-8")
    with pytest.raises(DownloadError, match="name no Debian archive") as error:
        fetch_debs(DEBS, tmp_path, Said())
    assert "--from" in one_line(error)
    assert "update" not in (tmp_path / "asked").read_text(encoding="utf-8")


def test_no_apt_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match="no apt-get") as error:
        fetch_debs(DEBS, tmp_path, Said())
    assert "--from" in one_line(error)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pip whose program is the file ``does.py``, which sees the words of the command line."""
    package = tmp_path / "modules" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        f"import sys\nexec(open({str(package / 'does.py')!r}).read())\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return package / "does.py"


def made_wheel(store: Path) -> Wheel:
    """A wheel that is pinned to what stands in ``store``."""
    store.mkdir(exist_ok=True)
    path = store / "made-1.0-cp39-none-win_amd64.whl"
    path.write_bytes(zip_bytes({"made.py": b"contents"}))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel("made==1.0", path.name, sha256, "made-1.*-cp39-*-win_amd64.whl", "what is made")


def bringing(source: Path) -> str:
    return (
        "import shutil\n"
        "print('Progress 10 of 200', flush=True)\nprint('Progress 200 of 200', flush=True)\n"
        f"shutil.copy({str(source)!r}, sys.argv[sys.argv.index('--dest') + 1])\n"
    )


def test_pip_brings_the_wheel_and_tells_how_far_it_is(pip: Path, tmp_path: Path) -> None:
    wheel = made_wheel(tmp_path / "store")
    pip.write_text(bringing(tmp_path / "store" / wheel.filename), encoding="utf-8")
    folder = tmp_path / "downloads"
    folder.mkdir()
    said = Said()
    fetch_wheel(wheel, folder, said)
    wheel.check(folder / wheel.filename)
    assert said.steps == ["downloading what is made: made==1.0"]
    assert said.bytes == [(10, 200), (200, 200)]


def test_pip_is_asked_for_windows_and_python_39_and_no_source(pip: Path, tmp_path: Path) -> None:
    wheel = made_wheel(tmp_path / "store")
    pip.write_text(
        f"open({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv[1:]))\nsys.exit(1)\n",
        encoding="utf-8",
    )
    with pytest.raises(DownloadError):
        fetch_wheel(wheel, tmp_path, Said())
    asked = (tmp_path / "asked").read_text(encoding="utf-8")
    assert asked.startswith(
        "download --no-deps --only-binary=:all: --platform win_amd64 --python-version 3.9 "
    )
    assert asked.endswith(f" --dest {tmp_path} made==1.0")


PIP_FAILS = {
    "the last error counts": (
        "print('ERROR: one\\nERROR: No matching distribution\\nnote'); sys.exit(1)",
        "No matching distribution",
    ),
    "no error, the last line": ("print('Collecting made\\nsome word'); sys.exit(1)", "some word"),
    "without a word": ("sys.exit(9)", "exit code 9"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    "well, but without the file": ("print('Saved nothing')", "Saved nothing"),
}


@pytest.mark.parametrize(("code", "expected"), PIP_FAILS.values(), ids=PIP_FAILS.keys())
def test_pip_fails(pip: Path, tmp_path: Path, code: str, expected: str) -> None:
    pip.write_text(code + "\n", encoding="utf-8")
    with pytest.raises(DownloadError) as error:
        fetch_wheel(made_wheel(tmp_path / "store"), tmp_path, Said())
    assert one_line(error).startswith(f"made==1.0 was not downloaded: {expected}; run the same command again")


def test_pip_does_not_answer(pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip.write_text("import time; time.sleep(600)\n", encoding="utf-8")
    monkeypatch.setattr(pypi, "TIMEOUT", 0.1)
    with pytest.raises(DownloadError, match="was not downloaded: no answer in time"):
        fetch_wheel(made_wheel(tmp_path / "store"), tmp_path, Said())


def test_pip_brings_another_file_under_the_same_name(pip: Path, tmp_path: Path) -> None:
    wheel = made_wheel(tmp_path / "store")
    other = tmp_path / wheel.filename
    other.write_bytes(zip_bytes({"made.py": b"harm"}))
    pip.write_text(bringing(other), encoding="utf-8")
    folder = tmp_path / "downloads"
    folder.mkdir()
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch_wheel(wheel, folder, Said())


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pypi.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match="pip is not installed") as error:
        fetch_wheel(made_wheel(tmp_path / "store"), tmp_path, Said())
    assert sys.executable in one_line(error)
    assert "--from" in one_line(error)


PROGRESS = [
    ("23.2.1", "off"),
    ("24.0", "off"),
    ("24.1", "raw"),
    ("24.1.2", "raw"),
    ("25.0", "raw"),
    ("x", "off"),
]


@pytest.mark.parametrize(("version", "kind"), PROGRESS)
def test_the_progress_bar_is_one_that_this_pip_knows(
    monkeypatch: pytest.MonkeyPatch, version: str, kind: str
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert pypi._progress_bar() == kind
