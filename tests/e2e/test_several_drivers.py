"""Two copies of the project's driver at a time, each with its own lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.connection import NetConnection, free_connection, parse_connection
from harness.debuggers import debugger_factory
from harness.debuggers.base import PrintReceived, TargetRebooted
from harness.events import Driver, Event, ImageLoad, Print
from harness.resources import driver_sources
from harness.runs.trace_folder import through_latest
from harness.toolchain import Arch, build_driver, default_driver
from harness.trace.sources.opening import open_trace

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "scenarios" / "notepad-launch.yaml"
CREATE_THREAD = ROOT / "scenarios" / "create-thread.yaml"


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``beside.sys``, whose lines begin with [beside], and ``tested.sys``."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copytree(driver_sources() / "procnotify", folder / "beside")
    text = folder / "beside" / "print.h"
    text.write_text(text.read_text(encoding="utf-8").replace("[procnotify] ", "[beside] "), encoding="utf-8")
    build_driver(folder / "beside", Arch.X64, folder / "beside.sys")
    shutil.copy(default_driver().path, folder / "tested.sys")
    return folder


def procnotify(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, encoding="utf-8")


def run(cwd: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return procnotify("run", *words, cwd=cwd)


def drivers(*paths: Path) -> list[str]:
    return [word for path in paths for word in ("--driver", str(path))]


@pytest.mark.parametrize("debugger", ["native", "none"])
def test_each_has_its_lines_and_the_last_is_under_test(copies: Path, tmp_path: Path, debugger: str) -> None:
    both = drivers(copies / "beside.sys", copies / "tested.sys")
    done = run(tmp_path, LAUNCH, *both, "--debugger", debugger)
    assert done.returncode == 0, done.stdout + done.stderr
    trace = open_trace(through_latest(tmp_path / "traces" / "latest" / "notepad-launch-1.jsonl"))
    assert trace.header is not None and list(trace.header.other_drivers) == ["beside.sys"]
    events = list(trace)
    beside = [event for event in events if event.line.startswith("[beside] ")]
    assert all(isinstance(event, Print) for event in beside)
    tested = [event for event in events if event.line.startswith("[procnotify] ")]
    # Of the driver under test the one beside it heard, under PID 0, before its DriverEntry ran.
    image = next(
        event for event in beside if "PID(0) loaded a/an " in event.line and r"\tested.sys at " in event.line
    )
    assert image.index < tested[0].index
    assert not any(isinstance(event, ImageLoad) and event.pid == 0 for event in tested)
    # It was there before, and after.
    assert beside[0].index < tested[0].index and beside[-1].index > tested[-1].index
    assert " totals " in tested[-1].line and " totals " in beside[-1].line
    # Whatever the one under test was told, the other was told, too, and before it.
    for event in tested:
        if not isinstance(event, Driver):
            assert said(event) in [said(other) for other in beside if other.index < event.index]
    checked = procnotify("check", trace_path(tmp_path), LAUNCH, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def trace_path(folder: Path) -> Path:
    return through_latest(folder / "traces" / "latest" / "notepad-launch-1.jsonl")


def said(event: Event) -> str:
    """Without the beginning and without the numbers at the end."""
    return event.line.partition("] ")[2].partition(" {")[0]


def test_a_driver_beside_it_whose_lines_begin_like_its_own_is_refused(copies: Path, tmp_path: Path) -> None:
    done = run(tmp_path, CREATE_THREAD, *drivers(copies / "tested.sys", copies / "beside.sys"))
    assert done.returncode == 2
    assert done.stderr == (
        "procnotify: tested.sys is not under test, but prints lines that begin with [procnotify], too: nobody"
        " could tell whose a line is; have it print another beginning, or test it by itself\n"
    )


def test_a_driver_beside_it_that_prints_is_refused_where_lines_have_no_beginning(
    copies: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "bare.yaml"
    lines.write_text(
        'lines: bare\nsummary: bare.\nforms:\n  - process_exit: "{pid:d} ended"\n', encoding="utf-8"
    )
    two = drivers(copies / "beside.sys", copies / "tested.sys")
    done = run(tmp_path, CREATE_THREAD, *two, "--lines", str(lines))
    assert done.returncode == 2
    assert done.stderr == (
        "procnotify: beside.sys is not under test, but prints, too, and the line grammar bare has forms"
        " without a beginning: nobody could tell whose a line is; give the lines a prefix, or test the driver"
        " by itself\n"
    )


def test_two_of_one_name_are_refused(copies: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    twin = Path(shutil.copy(copies / "beside.sys", tmp_path / "more" / "TESTED.sys"))
    done = run(tmp_path, CREATE_THREAD, *drivers(twin, copies / "tested.sys"))
    assert done.returncode == 2
    assert done.stderr == "procnotify: two drivers are called tested; rename one of the files\n"
    served = procnotify(
        *("serve", "--hostip", "127.0.0.1", "--port", "50000", "--key", "1.2.3.4"),
        *drivers(twin, copies / "tested.sys"),
        cwd=tmp_path,
    )
    assert served.returncode == 2
    assert served.stderr == done.stderr


def test_a_run_to_be_repeated_has_all_of_them(copies: Path, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.sys"
    build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, faulty)
    both = drivers(copies / "beside.sys", faulty)
    done = run(tmp_path, CREATE_THREAD, *both, "--debugger", "none", "--seeds", "3-3")
    assert done.returncode == 1
    assert f"--seed 3 {' '.join(both)}" in done.stderr.replace("\n", " ") or sys.platform == "win32"


def test_serve_loads_them_all(copies: Path) -> None:
    connection = str(free_connection())
    where = parse_connection(connection)
    assert isinstance(where, NetConnection)
    debugger = debugger_factory("native")(connection)
    debugger.listen()
    words = [sys.executable, "-m", "harness", "serve", "--hostip", "127.0.0.1", "--port", str(where.port)]
    words += ["--key", connection.partition("key=")[2], "--run", str(CREATE_THREAD)]
    words += drivers(copies / "beside.sys", copies / "tested.sys")
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    try:
        debugger.attach(timeout=60)
        debugger.go()
        lines: list[str] = []
        while (event := debugger.receive(timeout=60)) is not None:
            if isinstance(event, PrintReceived):
                lines.append(event.text)
            if isinstance(event, TargetRebooted):
                break
        assert process.wait(30) == 0
        debugger.detach(timeout=5)
    finally:
        process.kill()
        process.communicate()
    assert lines[0].startswith("[beside] DriverEntry")
    totals = [line.partition(" ")[0] for line in lines if " totals " in line]
    assert totals == ["[procnotify]", "[beside]"]


def test_the_pytest_plugin_takes_them(copies: Path, tmp_path: Path) -> None:
    options = [f"--procnotify-driver={copies / name}" for name in ("beside.sys", "tested.sys")]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    words += [str(CREATE_THREAD), *options]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    trace = through_latest(tmp_path / "traces" / "latest" / "create-thread-1.jsonl").read_text(
        encoding="utf-8"
    )
    assert '"line":"[beside] DriverEntry ' in trace
