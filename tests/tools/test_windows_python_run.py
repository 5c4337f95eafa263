"""How a program in the Windows Python is run: with a Wine that is a shell script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.wine.errors import PrefixError
from tools.windows_python.prefix import ROOT, WindowsPython
from tools.windows_python.run import INTERRUPTED, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the recipe is for machines without Windows")


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowsPython:
    """As after a setup; what ``wine`` does stands in ``does``."""
    prefix = WindowsPython(tmp_path / "windows-python")
    for path in (prefix.stamps / "verified", prefix.python / "python.exe"):
        path.parent.mkdir(parents=True)
        path.touch()
    prefix.prefix.mkdir()
    for name in ("wine", "wineserver"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nshift\n. "{tmp_path}/{name}-does"\n', encoding="utf-8")
        program.chmod(0o755)
    (tmp_path / "wineserver-does").write_text(f'echo ended >> "{tmp_path}/ended"\n', encoding="utf-8")
    monkeypatch.setenv("PROCNOTIFY_WINE", str(tmp_path / "wine"))
    return prefix


def does(prefix: WindowsPython, script: str) -> None:
    (prefix.root.parent / "wine-does").write_text(script, encoding="utf-8")


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_the_exit_code_is_the_programs(prefix: WindowsPython, code: int) -> None:
    does(prefix, f"exit {code}\n")
    assert run(prefix, ["-c", "pass"], dict(os.environ)) == code


def test_its_words_reach_it_as_they_are_and_its_streams_come_apart(
    prefix: WindowsPython, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    does(prefix, 'for word in "$@"; do echo "<$word>"; done\nprintf "no line end" >&2\ncat\n')
    assert run(prefix, ["-c", "a b", ""], dict(os.environ)) == 0
    said = capfdbinary.readouterr()
    assert said.out == b"<-c>\n<a b>\n<>\n"
    assert said.err == b"no line end"


def test_much_output_arrives_whole(prefix: WindowsPython, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    does(prefix, "head -c 3000000 /dev/zero\n")
    assert run(prefix, [], dict(os.environ)) == 0
    assert len(capfdbinary.readouterr().out) == 3_000_000


def test_who_inherits_the_pipes_and_stays_is_not_waited_for(
    prefix: WindowsPython, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    does(prefix, f'sleep 600 & echo $! > "{prefix.root}/pid"\necho said\nexit 3\n')
    try:
        assert run(prefix, [], dict(os.environ)) == 3
        assert capfdbinary.readouterr().out == b"said\n"
    finally:
        os.kill(int((prefix.root / "pid").read_text(encoding="utf-8")), signal.SIGKILL)


def test_before_the_setup(tmp_path: Path) -> None:
    with pytest.raises(PrefixError, match="python -m tools"):
        run(WindowsPython(tmp_path / "nothing"), [], {})


IGNORES = "trap '' INT\necho up\nwhile :; do sleep 0.1; done\n"
HEARS = "trap 'echo heard; exit 9' INT\necho up\nwhile :; do sleep 0.1; done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(("script", "said"), [(HEARS, "heard\n"), (IGNORES, "")], ids=["hears", "ignores"])
def test_interrupted_it_is_told_and_then_ended_and_so_is_what_it_left(
    prefix: WindowsPython, number: signal.Signals, script: str, said: str
) -> None:
    does(prefix, script)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tools.windows_python import run\nfrom tools.windows_python.prefix import WindowsPython\n"
        "run.END_SECONDS = 1.0\n"
        "sys.exit(run.run(WindowsPython(Path(sys.argv[1])), [], dict(os.environ)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(prefix.root)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == said
        assert process.wait() == INTERRUPTED
    assert (prefix.root.parent / "ended").read_text(encoding="utf-8") == "ended\n"


def test_others_at_work_are_left_alone_by_an_interruption(prefix: WindowsPython) -> None:
    does(prefix, "kill -TERM $PPID\nsleep 600\n")
    with prefix.use():
        assert run(prefix, [], dict(os.environ)) == INTERRUPTED
    assert not (prefix.root.parent / "ended").exists()


def test_the_command_tells_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.windows_python", "run", "-c", "pass"],
        env=dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "run `python -m tools.windows_python setup`" in done.stderr


@pytest.mark.parametrize("command", [(), ("setup",), ("run",), ("lock",)], ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.windows_python", *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert " ".join(("  python -m tools.windows_python", *command)) in done.stdout
