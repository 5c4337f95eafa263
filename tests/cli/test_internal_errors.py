"""What nobody foresaw is the rig's failure in one line; who reads the output changes no verdict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from launches import ONE_LIFE
from this_system import DEV_FULL, SHELL

import harness.cli
from harness import internal
from harness.cli import cli, main
from harness.events import ProcessCreate, ProcessExit
from harness.trace import Header, TraceWriter


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    """Exit code and standard error of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["procnotify", *words])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def command_that(raises: BaseException) -> click.Command:
    def callback() -> None:
        raise raises

    return click.Command("keygen", callback=callback)


@pytest.mark.parametrize(("hides", "code"), [(KeyboardInterrupt(), 130), (OSError("x"), 3), (None, 3)])
def test_an_interrupt_that_hit_a_lock_of_pythons_is_an_interrupt(
    hides: BaseException | None,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = threading.Lock()
    with pytest.raises(RuntimeError, match="unlocked lock") as unlocked:
        lock.release()
    unlocked.value.__context__ = hides
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: command_that(unlocked.value))
    ended, said = called(monkeypatch, capsys, "keygen")
    assert ended == code
    assert ("internal error" in said) is (code == 3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("kd"), "KeyError: 'kd'"),
        (RuntimeError("two\nlines \x1b[2J"), "RuntimeError: two lines \\x1b[2J"),
        (MemoryError(), "MemoryError"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (OSError(24, "Too many open files", "x"), "OSError: [Errno 24] Too many open files: 'x'; raise"),
        (BrokenPipeError(32, "Broken pipe"), "BrokenPipeError: [Errno 32] Broken pipe"),
        (AssertionError("x" * 9999), "AssertionError: " + "x" * internal.MESSAGE_LENGTH + "...;"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_exception_that_nobody_foresaw_is_exit_code_3_in_one_line(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: command_that(error))
    code, said = called(monkeypatch, capsys, "keygen")
    assert code == 3
    assert said.startswith(f"procnotify: internal error: {words}")
    assert said.count("\n") == 1 and said.removesuffix("\n").isprintable()
    found = re.search(r"the traceback is in (\S+)$", said)
    assert found is not None
    kept = Path(found[1])
    assert kept.parent == tmp_path
    assert "Traceback (most recent call last)" in kept.read_text(encoding="utf-8")
    assert "command_that" in kept.read_text(encoding="utf-8") or "callback" in kept.read_text("utf-8")


def test_where_the_traceback_can_be_kept_nowhere_it_follows_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no"))
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: command_that(KeyError("x")))
    code, said = called(monkeypatch, capsys, "keygen")
    assert code == 3
    assert "Traceback (most recent call last)" in said
    assert "the traceback could be written nowhere (No such file or directory)" in said


def test_a_thread_that_dies_is_an_internal_error_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def callback() -> int:
        def die() -> None:
            raise KeyError("in a thread")

        thread = threading.Thread(target=die)
        thread.start()
        thread.join()
        return 0

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: click.Command("keygen", callback=callback))
    code, said = called(monkeypatch, capsys, "keygen")
    assert code == 3
    assert said.startswith("procnotify: internal error: KeyError: 'in a thread'")


def test_a_module_that_cannot_be_imported_is_no_broken_promise(tmp_path: Path) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text(
        "raise OSError(24, 'Too many open files')\n", encoding="utf-8"
    )
    (tmp_path / "click").mkdir()
    (tmp_path / "click" / "__init__.py").write_text(
        "raise OSError(24, 'Too many open files')\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "harness", "keygen"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 3
    assert done.stderr.startswith("procnotify: internal error: OSError: [Errno 24] Too many open files")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A scenario, a trace that holds and one that does not."""
    born = ProcessCreate(index=0, pid=8, parent_pid=4, line="born")
    (tmp_path / "one.yaml").write_text(ONE_LIFE, encoding="utf-8")
    for name, events in (("good", [born, ProcessExit(index=1, pid=8)]), ("bad", [born])):
        with TraceWriter(tmp_path / f"{name}.jsonl", Header(scenario="one")) as writer:
            writer.write(events)
            writer.finish(outcome="passed")
    return tmp_path


def check(folder: Path, name: str, shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``procnotify check`` with its output where ``shell`` says; the exit code is the command's own."""
    words = f"'{sys.executable}' -m harness check -v {name}.jsonl one.yaml"
    return subprocess.run(
        ["bash", "-c", f"{words} {shell}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


@SHELL
@pytest.mark.parametrize(("name", "code"), [("good", 0), ("bad", 1)])
@pytest.mark.parametrize(
    ("shell", "unbuffered"), [("| true", ""), ("| true", "1"), (">&- 2>&-", ""), ("2>/dev/full | true", "")]
)
def test_who_reads_the_output_changes_no_verdict(
    traces: Path, name: str, code: int, shell: str, unbuffered: str
) -> None:
    done = check(traces, name, shell, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == code, done.stderr
    assert done.stderr == b""


@DEV_FULL
@SHELL
@pytest.mark.parametrize("name", ["good", "bad"])
def test_results_that_find_no_room_are_the_rigs_failure(traces: Path, name: str) -> None:
    done = check(traces, name, "> /dev/full")
    assert done.returncode == 3
    assert done.stderr == b"procnotify: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("cp1252", b"\\u6f22"), ("latin-1", b"\\u6f22"), ("utf-8", "漢".encode())]
)
def test_an_output_that_lacks_a_character_gets_its_escape(traces: Path, encoding: str, shown: bytes) -> None:
    with TraceWriter(traces / "bad.jsonl", Header(scenario="one")) as writer:
        writer.write([ProcessCreate(index=0, pid=8, parent_pid=4, line="漢字")])
        writer.finish(outcome="passed")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "check", "bad.jsonl", "one.yaml"],
        cwd=traces,
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 1, done.stderr
    assert shown in done.stdout
    assert done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for descriptors")
def test_no_descriptors_left_is_the_rigs_failure(traces: Path) -> None:
    program = (
        "import os, resource, sys\n"
        "from harness.cli import _options, check, cli, main\n"
        "import harness.internal as internal\n"
        "internal.reserve_descriptor()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "try:\n    while True: os.open(os.devnull, os.O_RDONLY)\nexcept OSError: pass\n"
        "sys.argv = ['procnotify', 'driver', 'build', '--out', 'x.sys']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=traces,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"TMPDIR": str(traces)},
    )
    assert done.returncode == 3, done.stderr
    assert "Too many open files" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_the_exit_code_after_ctrl_c_is_what_shells_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: command_that(KeyboardInterrupt()))
    code, said = called(monkeypatch, capsys, "keygen")
    assert (code, said.strip()) == (harness.cli.INTERRUPTED, "procnotify: interrupted")
