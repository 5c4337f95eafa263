"""``procnotify wine`` as a program: its words, its exit codes, and Ctrl-C."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_wine import FakeWine
from made_pieces import PYKD, make_pieces

from harness.cli.wine import command
from harness.wine import setup as wine_setup
from harness.wine.prefix import WinePrefix
from harness.wine.report import Reporter
from harness.wine.stages import write_stamp

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no Wine")

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; where a launcher is built, it is not built into the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "procnotify" / "wine"


@pytest.fixture
def wine_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> FakeWine:
    fake = FakeWine(tmp_path / "wine")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(fake.program))
    monkeypatch.setenv("PATH", f"{fake.program.parent}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_pieces(tmp_path / "pieces")


def procnotify(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", "wine", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def stamped(cache: Path) -> None:
    """As if the launcher had been built, which takes a compiler."""
    prefix = WinePrefix()
    assert prefix.root == cache
    prefix.python.mkdir(parents=True)
    (prefix.python / "python.exe").touch()
    write_stamp(prefix, "launcher", wine_setup.launcher_fingerprint())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--help"], ["setup", "remove"]),
        (["setup", "--help"], ["--from", "goes on where it stood", "procnotify wine setup"]),
        (["remove", "--help"], ["Delete the prefix", "procnotify wine remove"]),
    ],
)
def test_help(words: list[str], expected: list[str]) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0
    for part in expected:
        assert part in " ".join(result.output.split())


def test_steps_and_the_result_when_nobody_looks(cache: Path, wine_program: FakeWine, source: Path) -> None:
    stamped(cache)
    done = procnotify("setup", "--from", str(source))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"pykd 0.3.4.99 is ready on Python 3.9.13 under Wine, in {cache}\n"
    assert done.stderr.splitlines() == [
        "creating the Wine prefix",
        "unpacking Python 3.9 for Windows",
        "unpacking pykd and DbgEng",
        "importing pykd in the prefix",
    ]
    removed = procnotify("remove")
    assert (removed.returncode, removed.stdout, removed.stderr) == (0, f"removed {cache}\n", "")
    again = procnotify("remove")
    assert (again.returncode, again.stdout) == (0, f"there is no prefix in {cache}\n")


def fetching(prefix: WinePrefix, reporter: Reporter, *, source: Path | None) -> dict[str, str]:
    """A setup that is mostly a download."""
    for name in ("one", "two"):
        reporter.step(f"downloading {name} [bold]:smile:")
        for done in (0, 30, 100):
            reporter.progress(done, 100)
    return {"pykd": "1", "python": "3"}


def test_downloads_draw_nothing_when_nobody_looks(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wine_setup, "setup", fetching)
    result = CliRunner().invoke(command, ["setup"])
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [f"downloading {name} [bold]:smile:" for name in ("one", "two")]
    assert CONTROL.search(result.output) is None


WRONG = {
    "no folder": (["setup", "--from", "nowhere"], 2, "'nowhere' does not exist"),
    "a file": (["setup", "--from", __file__], 2, "is a file"),
    "an unknown word": (["setup", "now"], 2, "unexpected extra argument"),
}


@pytest.mark.parametrize(("words", "code", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_command_line(cache: Path, words: list[str], code: int, expected: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == code
    assert expected in result.stderr


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    """The only line that follows the steps."""
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("procnotify: ")
    assert done.stderr.count("procnotify: ") == 1
    return line


def test_errors_are_one_line_and_exit_code_3(
    cache: Path, wine_program: FakeWine, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / PYKD).write_bytes(b"<html>no</html>")
    assert f"{PYKD} is damaged or cut off" in one_error(procnotify("setup", "--from", str(source)))
    wine_program.hook.write_text("exit 1\n", encoding="utf-8")
    (cache / "stamps" / "prefix").unlink()
    assert "could not create its prefix" in one_error(procnotify("setup", "--from", str(source)))
    monkeypatch.setenv("PROCNOTIFY_WINE", "/nowhere/wine")
    assert "PROCNOTIFY_WINE names /nowhere/wine" in one_error(procnotify("setup"))


@pytest.mark.parametrize("words", [["setup"], ["remove"]])
def test_a_cache_that_cannot_be_used_is_one_line_and_exit_code_3(
    cache: Path, wine_program: FakeWine, words: list[str]
) -> None:
    cache.parent.parent.touch()
    assert "Not a directory" in one_error(procnotify(*words))


def test_a_read_only_cache_is_one_line_and_exit_code_3(cache: Path, wine_program: FakeWine) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    cache.parent.parent.mkdir()
    cache.parent.parent.chmod(0o555)
    assert "Permission denied" in one_error(procnotify("setup"))


def test_ctrl_c_ends_the_setup_and_what_it_started_and_a_later_one_goes_on(
    cache: Path, wine_program: FakeWine, source: Path, tmp_path: Path
) -> None:
    stamped(cache)
    held = tmp_path / "held"
    os.mkfifo(held)
    # Wine says that it is at work, and holds the pipe as long as it or a child of it lives.
    wine_program.hook.write_text(f'exec 3> "{held}"; echo x >&3; sleep 600\n', encoding="utf-8")
    argv = [sys.executable, "-m", "harness", "wine", "setup", "--from", str(source)]
    with (
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process,
        held.open("rb", buffering=0) as pipe,
    ):
        assert pipe.read(1) == b"x"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert pipe.read(1) == b"\n"
        ready, _, _ = select.select([pipe], [], [], 30)
        assert ready, "what the setup started still runs"
        assert pipe.read() == b""
    assert process.returncode == 130
    assert output == ""
    assert errors.split("\n") == ["creating the Wine prefix", "", "procnotify: interrupted", ""]
    assert not WinePrefix().complete

    wine_program.hook.unlink()
    later = procnotify("setup", "--from", str(source))
    assert later.returncode == 0, later.stderr
    assert later.stderr.startswith("creating the Wine prefix\n")
    assert WinePrefix().complete


def test_a_bar_is_drawn_on_a_terminal_and_wiped_away(cache: Path) -> None:
    code = (
        "from pathlib import Path; from harness.cli.wine import Shown\n"
        "with Shown() as shown:\n"
        "    shown.step('downloading one')\n"
        "    shown.progress(30, 100); shown.progress(100, 100)\n"
        "    shown.step('unpacking')\n"
    )
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    os.close(theirs)
    drawn = b""
    try:
        while piece := os.read(ours, 65536):
            drawn += piece
    except OSError:
        pass  # how Linux says that the other end is closed
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0
    text = drawn.decode()
    assert "downloading one" in text
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("unpacking")
