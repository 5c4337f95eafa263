"""``procnotify run`` as a user types it: a whole run, wrong input, and rigs that fail in the middle."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from this_system import DEV_FULL, KILL, KILLED, is_running

from harness.debuggers.base import BugcheckSeen, Release
from harness.debuggers.native.debugger import NativeDebugger
from harness.events import Bugcheck
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.progress import EventCaptured, Progress
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import RunInterrupted, run_scenario
from harness.runs.trace_folder import through_latest
from harness.runs.watch import Watch
from harness.scenario import load
from harness.toolchain import Arch, build_driver, default_driver
from harness.trace.format import Footer
from harness.trace.reader import TraceReader
from harness.trace.writer import JsonLines, TraceWriter

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
CREATE_THREAD = SCENARIOS / "create-thread.yaml"
GOOD = CREATE_THREAD.read_text(encoding="utf-8")


def procnotify(*args: str | int | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "run", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line of a command that failed with ``code``."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("procnotify: ")
    return line


def test_a_run_says_its_seeds_writes_its_traces_and_its_junit(tmp_path: Path) -> None:
    done = procnotify(CREATE_THREAD, "--repeat", 2, "--seed", 5, "--junit", "out/junit.xml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:4] for line in lines[:2]] == [
        ["passed", "create-thread", "seed", "5"],
        ["passed", "create-thread", "seed", "6"],
    ]
    assert lines[-2].startswith("2 passed in ")
    names = {case.get("name") for case in ElementTree.parse(tmp_path / "out/junit.xml").iter("testcase")}
    assert names == {"create-thread[seed=5]", "create-thread[seed=6]"}
    folder = tmp_path / lines[-1].removeprefix("traces: ")
    assert folder.parent == tmp_path / "traces"
    names = {path.name for path in folder.iterdir()}
    assert names == {"create-thread-5.jsonl", "create-thread-6.jsonl", "outcome.txt"}
    latest = through_latest(tmp_path / "traces" / "latest" / "outcome.txt")
    assert latest.read_text(encoding="utf-8") == "passed\n"


def test_fail_fast_stops_after_the_first_failure_which_is_told_at_length(tmp_path: Path) -> None:
    driver = tmp_path / "silent.sys"
    build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, driver)
    done = procnotify(CREATE_THREAD, "--driver", driver, "--repeat", 3, "--fail-fast", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("broken promise create-thread    ") for line in lines) == 1
    assert lines[-2].startswith("1 broken promise in ")
    folder = lines[-1].removeprefix("traces: ")
    assert f"    trace: {folder}/create-thread-1.jsonl".replace("/", os.sep) in lines
    assert any(line.strip().startswith("the target was left running") for line in lines)


WRONG_SCENARIOS = [
    ("unknown key", GOOD.replace("summary:", "summery:"), "summery"),
    ("duplicate key", GOOD.replace("steps:", "summary: again\nsteps:"), "summary"),
    ("bad variable", GOOD.replace("tid: $worker", "tid: $wroker", 1), "$wroker"),
    ("tab", GOOD.replace("  - create_thread", "\t- create_thread"), "tab"),
    ("not YAML", "scenario: [", ""),
    ("not text", "scenario: \x00", ""),
    ("empty", "", ""),
]


@pytest.mark.parametrize(
    ("text", "words"), [row[1:] for row in WRONG_SCENARIOS], ids=[r[0] for r in WRONG_SCENARIOS]
)
def test_a_wrong_scenario_is_one_line_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    line = refused(procnotify("bad.yaml", cwd=tmp_path), 2)
    assert line.startswith("procnotify: bad.yaml:")
    assert words in line
    assert not (tmp_path / "traces").exists(), "nothing may have run"


def test_all_scenarios_are_read_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text("scenario: b\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text("scenario: [", encoding="utf-8")
    done = procnotify(".", cwd=tmp_path)
    assert done.returncode == 2
    told = [line.split(":")[1].strip() for line in done.stderr.splitlines()]
    assert told == ["b.yaml", "b.yaml", "c.yaml"], "every mistake of every file"
    assert not done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["."], "no scenario (*.yaml, *.yml) in the folder"),
        ([CREATE_THREAD, "--machine", "vax"], "no machine named 'vax'; known: virtual"),
        ([CREATE_THREAD, "--debugger", "gdb"], "no debugger named 'gdb'; known: native"),
        ([CREATE_THREAD, "--driver", "no.sys"], "cannot read the driver no.sys"),
        ([CREATE_THREAD, "--connection", "net:port=1"], "the connection is not understood"),
    ],
)
def test_a_wrong_command_line_is_one_line_with_the_way_out(
    tmp_path: Path, args: list[str | Path], words: str
) -> None:
    assert words in refused(procnotify(*args, cwd=tmp_path), 2)


def test_a_driver_that_this_machine_cannot_load_is_refused_by_name(tmp_path: Path) -> None:
    good = default_driver().path.read_bytes()
    x86 = default_driver(Arch.X86).path.read_bytes()
    for image, words in (
        (b"not a driver", "not a PE image"),
        (x86, "x86"),
        (good.replace(b"DbgPrintEx", b"DbgPrintXe"), "calls DbgPrintXe"),
    ):
        (tmp_path / "bad.sys").write_bytes(image)
        line = refused(procnotify(CREATE_THREAD, "--driver", "bad.sys", cwd=tmp_path), 2)
        assert words in line and "bad.sys" in line


def test_a_port_in_use_is_said_and_is_the_rigs_failure(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as owner:
        owner.bind(("", 0))
        port = owner.getsockname()[1]
        done = procnotify(CREATE_THREAD, "--connection", f"net:port={port},key=1.2.3.4", cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert str(port) in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert "1.2.3.4" not in done.stdout + done.stderr


def interfered(folder: Path, interfere: object, *, watch: Watch, scenario: Path = CREATE_THREAD) -> RunResult:
    """A run in which ``interfere`` is called with the rig at the tenth event."""
    rigs: list[Rig] = []
    seen = 0

    def watcher(progress: Progress) -> None:
        nonlocal seen
        seen += isinstance(progress, EventCaptured)
        if isinstance(progress, EventCaptured) and seen == 10:
            interfere(rigs[0])  # type: ignore[operator]

    with open_rig(
        machine="virtual",
        debugger="native",
        driver=None,
        trace_folder=folder,
        watch=watch,
        subscribers=(watcher,),
    ) as rig:
        rigs.append(rig)
        result = run_scenario(rig, load(scenario), seed=1)
        after = run_scenario(rig, load(scenario), seed=2)
        assert after.outcome is Outcome.PASSED, f"the next run works: {after.reason}"
    return result


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP on Windows")
def test_a_target_that_stops_answering_is_lost_not_waited_for(tmp_path: Path) -> None:
    stopped: list[int] = []

    def stop(rig: Rig) -> None:
        pid = rig.machine.pid  # type: ignore[attr-defined]
        stopped.append(pid)
        os.kill(pid, signal.SIGSTOP)

    began = time.monotonic()
    result = interfered(tmp_path, stop, watch=Watch(silence=1.0))
    assert result.outcome is Outcome.RIG
    assert "silent for 1 s during " in result.reason
    assert "did not answer 'status'" in result.reason
    assert result.release is not None and result.release.running is not True
    assert time.monotonic() - began < 60
    assert not is_running(stopped[0])
    assert_readable(result, "rig failed")


def test_a_target_that_dies_is_lost_with_its_exit_code(tmp_path: Path) -> None:
    def kill(rig: Rig) -> None:
        os.kill(rig.machine.pid, KILL)  # type: ignore[attr-defined]

    result = interfered(tmp_path, kill, watch=Watch(silence=5.0))
    assert result.outcome is Outcome.RIG
    assert f"the virtual target ended with exit code {KILLED}" in result.reason
    assert_readable(result, "rig failed")


def test_ctrl_c_keeps_the_trace_and_lets_the_target_go(tmp_path: Path) -> None:
    def interrupt(rig: Rig) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RunInterrupted) as raised:
        interfered(tmp_path, interrupt, watch=Watch())
    result = raised.value.result
    # What the target had said by the time it was let go is in the trace too.
    assert result.events >= 10
    assert f"interrupted in create-thread (seed 1) after {result.events} events" in result.reason
    assert str(result.trace) in result.reason
    assert result.release is not None and result.release.running
    assert_readable(result, "interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process is POSIX")
def test_ctrl_c_at_the_command_line(any_debugger: str, tmp_path: Path) -> None:
    scenario = str(SCENARIOS / "thirty-launches.yaml")
    running = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", scenario, "--debugger", any_debugger],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    trace = tmp_path / "traces" / "latest" / "thirty-launches-1.jsonl"
    deadline = time.monotonic() + 60
    while not trace.exists() or trace.stat().st_size < 20_000:
        assert running.poll() is None and time.monotonic() < deadline
        threading.Event().wait(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    (line,) = errors.splitlines()
    assert "interrupted in thirty-launches" in line and "/thirty-launches-1.jsonl" in line
    assert "the target was left running" in line
    assert trace.read_bytes().splitlines()[-1].startswith(b'{"kind":"footer"')


def assert_readable(result: RunResult, outcome: str) -> None:
    assert result.trace is not None
    trace = TraceReader(result.trace)
    assert len(list(trace)) == result.events
    assert trace.footer is not None and trace.footer.outcome == outcome


@pytest.fixture(autouse=True)
def _no_cache_of_its_own() -> Iterator[None]:
    """The driver is in the cache before a command is timed or its output counted."""
    default_driver()
    yield


class Unlucky(NativeDebugger):
    """The target comes to harm while it is released."""

    left = Release(None, "nobody knows")

    def detach(self, *, timeout: float) -> Release:
        super().detach(timeout=timeout)
        return self.left


@pytest.mark.parametrize(
    ("left", "outcome", "words"),
    [
        (
            Release(
                False, "it reboots", crashed=True, bugcheck=BugcheckSeen(0xCE, (1, 2, 3, 4), "procnotify.sys")
            ),
            Outcome.BUGCHECK,
            "the target bugchecked: 0x000000ce",
        ),
        (
            Release(None, "nobody knows"),
            Outcome.RIG,
            "the steps are done, but the target is not known to run",
        ),
        (Release(False, "it hangs"), Outcome.RIG, "the steps are done, but the target was left halted"),
    ],
)
def test_a_run_whose_target_does_not_outlive_it_has_not_passed(
    left: Release, outcome: Outcome, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unlucky, "left", left)
    with open_rig(machine="virtual", debugger="native", driver=None, trace_folder=tmp_path) as rig:
        result = run_scenario(
            dataclasses.replace(rig, open_debugger=Unlucky), load(SCENARIOS / "create-thread.yaml"), seed=1
        )
    assert result.outcome is outcome, result.reason
    assert words in result.reason
    assert result.trace is not None
    last = list(TraceReader(result.trace))[-1]
    assert isinstance(last, Bugcheck) == (outcome is Outcome.BUGCHECK)


class FullDisk(TraceWriter):
    """The disk is full from the given write on; the footer alone does not fit for 1000."""

    room = 1000

    def _write(self, records: Iterable[Any]) -> None:
        written = list(records)
        FullDisk.room -= 1
        if FullDisk.room < 0 or any(isinstance(record, Footer) for record in written):
            self._file.close()
            self._file = Path("/dev/full").open("wb")  # noqa: SIM115  # the writer closes it
            self._store = JsonLines(self._file)
        super()._write(written)


@DEV_FULL
@pytest.mark.parametrize(
    ("room", "driver", "words"),
    [
        (5, None, "cannot write the trace .*No space left on device"),
        (1000, None, "cannot write the trace .*No space left on device; the verdict was: passed"),
        (1000, "never_prints_thread_exits", "the verdict was: broken promise: threads_exit_before_process: "),
    ],
)
def test_a_full_disk_is_the_rigs_failure_whatever_the_driver_did(
    room: int, driver: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = None
    if driver is not None:
        path = build_driver(ROOT / "tests" / "drivers" / driver, Arch.X64, tmp_path / "d.sys").path
    monkeypatch.setattr(FullDisk, "room", room)
    monkeypatch.setattr("harness.runs.performing.TraceWriter", FullDisk)
    with open_rig(machine="virtual", debugger="native", driver=path, trace_folder=tmp_path / "t") as rig:
        result = run_scenario(rig, load(CREATE_THREAD), seed=1)
    assert result.outcome is Outcome.RIG
    assert re.search(words, result.reason), result.reason
    assert result.release is not None and result.release.running


def test_what_nobody_foresaw_is_the_result_of_its_run_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interfere(rig: Rig) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = interfered(tmp_path, interfere, watch=Watch())
    assert result.outcome is Outcome.RIG
    assert result.reason.startswith("internal error: KeyError: 'nobody foresaw this'; the traceback is in ")
    assert result.release is not None and result.release.running, "the target is let go all the same"


@DEV_FULL
def test_a_report_that_finds_no_room_is_the_rigs_failure_and_the_results_are_told(tmp_path: Path) -> None:
    done = procnotify(CREATE_THREAD, "--junit", "/dev/full", cwd=tmp_path)
    assert done.returncode == 3
    assert "1 passed in " in done.stdout
    assert done.stderr == "procnotify: cannot write /dev/full: No space left on device\n"


def test_a_report_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    line = refused(procnotify(CREATE_THREAD, "--junit", tmp_path, cwd=tmp_path), 2)
    assert (
        line
        == f"procnotify: --junit cannot write {tmp_path}: it is there, and is no file; choose another --junit"
    )
    assert not (tmp_path / "traces").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are text there")
def test_names_of_files_may_be_any_bytes(tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd\xe9\x07.yaml")
    (tmp_path / odd).write_text(GOOD, encoding="utf-8")
    done = procnotify(odd, "--junit", "j.xml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x07" not in done.stderr + done.stdout
    (case,) = ElementTree.parse(tmp_path / "j.xml").iter("testcase")
    assert case.get("classname") == "odd\\udce9\\x07"
    (result,) = json.loads(done.stdout)["results"]
    assert result["file"] == "odd\\udce9\x07.yaml"


@pytest.mark.skipif(sys.platform == "win32" or os.name == "nt", reason="permissions of POSIX")
def test_a_cache_that_cannot_be_written_is_the_rigs_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("PROCNOTIFY_CACHE", str(tmp_path / "file"))
    line = refused(procnotify(CREATE_THREAD, cwd=tmp_path), 3)
    assert "cannot write the cache folder" in line and "PROCNOTIFY_CACHE" in line


def test_scenarios_that_share_a_name_share_no_trace(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yaml").write_text(GOOD, encoding="utf-8")
    done = procnotify(".", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    traces = [tmp_path / result["trace"] for result in json.loads(done.stdout)["results"]]
    assert [trace.name for trace in traces] == ["same-1.jsonl", "same-1~2.jsonl"]
    assert all(trace.is_file() for trace in traces)
