"""What the debugger sees at breakpoints is what the driver prints, event for event, and is judged alike."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from serial_cables import free_tcp_port

from harness.api import check, run
from harness.callbacks import CALLBACK_KINDS
from harness.errors import UsageError
from harness.events import Event, WitnessName, kind_of
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver
from harness.trace import TraceReader

HERE = Path(__file__).resolve().parent
SCENARIOS = sorted((HERE.parents[1] / "scenarios").glob("*.yaml"))
CREATE_THREAD, LOAD, TREE = (
    HERE.parents[1] / "scenarios" / f"{name}.yaml"
    for name in ("create-thread", "driver-load-unload", "process-tree-exit")
)
SEEDS = range(1, int(os.environ.get("PROCNOTIFY_BREAKPOINT_SEEDS", "0")) + 1)
SAMPLE = [(CREATE_THREAD, "kdnet"), (TREE, "kdnet"), (CREATE_THREAD, "kdcom")]
RUNS = [(path, link) for path in SCENARIOS for link in ("kdnet", "kdcom")] if SEEDS else SAMPLE
BESIDE = {"index", "line", "time", "seq", "host_time", "witness", "call", "image"}
"""Fields that a line and a stop do not have in common: the driver takes its time a little later, and cuts
long names."""


def connection(link: str) -> str | None:
    return f"com:ipport={free_tcp_port()},port=127.0.0.1" if link == "kdcom" else None


def ran(
    scenario: Path,
    folder: Path,
    *,
    driver: Path | None = None,
    witness: WitnessName | None = "breakpoint",
    link: str = "kdnet",
    seed: int = 1,
) -> RunResult:
    series = run(
        scenario, driver=driver, witness=witness, trace_dir=folder, seed=seed, connection=connection(link)
    )
    (result,) = series.results
    return result


def repeated(
    scenario: Path, folder: Path, link: str, seeds: Iterable[int]
) -> Iterator[tuple[int, RunResult]]:
    """Runs of the project's driver with the witness ``breakpoint``, one after another on one rig."""
    with open_rig(
        machine="virtual",
        debugger="native",
        driver=None,
        trace_folder=folder,
        witness="breakpoint",
        connection=connection(link),
    ) as rig:
        loaded = load(scenario)
        for seed in seeds:
            yield seed, run_scenario(rig, loaded, seed=seed)


def by_processor(events: Iterable[Event], witness: WitnessName) -> dict[int | None, list[tuple[object, ...]]]:
    """The callbacks that one witness saw, each as its kind and fields, in order on each processor."""
    seen = defaultdict(list)
    for event in events:
        if kind_of(event) in CALLBACK_KINDS and event.witness == witness:
            names = [name for name in event.__struct_fields__ if name not in BESIDE]
            seen[event.cpu].append((kind_of(event), *(getattr(event, name) for name in names)))
    return dict(seen)


@pytest.mark.parametrize(("path", "link"), RUNS, ids=lambda value: getattr(value, "stem", value))
def test_prints_and_breakpoints_agree_event_for_event(path: Path, link: str, tmp_path: Path) -> None:
    for seed, result in repeated(path, tmp_path, link, SEEDS or (1,)):
        assert (result.outcome, result.witness) == (Outcome.PASSED, "breakpoint"), (seed, result.reason)
        assert result.trace is not None
        events = list(TraceReader(result.trace))
        printed, seen = by_processor(events, "print"), by_processor(events, "breakpoint")
        assert seen == printed, seed
        assert sum(map(len, seen.values())) >= 5
        named = [event for event in events if event.call is not None]
        assert {event.call.driver for event in named if event.call} == {"procnotify.sys"}
        assert {event.call.irql for event in named if event.call} <= {0, 1}
        result.trace.unlink()


def test_a_watched_target_does_what_an_unwatched_one_does(tmp_path: Path) -> None:
    watched = ran(TREE, tmp_path / "watched")
    alone = ran(TREE, tmp_path / "alone", witness=None)
    assert watched.trace is not None and alone.trace is not None
    lines = [event.line for event in TraceReader(watched.trace) if event.witness == "print"]
    assert lines == [event.line for event in TraceReader(alone.trace)]


def test_a_recording_is_checked_by_the_witness_that_its_run_had(tmp_path: Path) -> None:
    result = ran(CREATE_THREAD, tmp_path)
    assert result.trace is not None
    again = check(result.trace, CREATE_THREAD)
    assert (again.outcome, again.witness, again.held) == (Outcome.PASSED, "breakpoint", result.held)
    printed = check(result.trace, CREATE_THREAD, witness="print")
    assert (printed.outcome, printed.witness) == (Outcome.PASSED, "print")
    assert printed.held > again.held, "lines have numbers, and stops have none"


def test_a_driver_that_prints_nothing_gets_a_verdict(tmp_path: Path) -> None:
    source = tmp_path / "silent"
    source.mkdir()
    text = f'#define PRINT(Format, ...) ((void)0)\n#include "{HERE.as_posix()}/plain/plain.h"\n'
    (source / "silent.c").write_text(text, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "silent.sys").path
    result = ran(CREATE_THREAD, tmp_path, driver=driver)
    assert (result.outcome, result.witness) == (Outcome.PASSED, "breakpoint"), result.reason
    assert result.held >= 40


def test_a_fault_that_kills_the_target_outweighs_what_was_seen(tmp_path: Path) -> None:
    forgets = build_driver(HERE / "plain" / "forgets_to_unregister", Arch.X64, tmp_path / "forgets.sys").path
    result = ran(LOAD, tmp_path, driver=forgets)
    assert result.outcome is Outcome.BUGCHECK
    assert "0x000000ce" in result.reason


MANY = """
#include <ntddk.h>
DRIVER_INITIALIZE DriverEntry;
#define THREAD_ROUTINE(N) static VOID Thread##N(HANDLE Pid, HANDLE Tid, BOOLEAN Create) \\
    { UNREFERENCED_PARAMETER(Create); \\
      DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "thread %d %p %p\\n", N, Pid, Tid); }
THREAD_ROUTINE(1) THREAD_ROUTINE(2) THREAD_ROUTINE(3) THREAD_ROUTINE(4) THREAD_ROUTINE(5) THREAD_ROUTINE(6)
static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(Thread1);
    PsRemoveCreateThreadNotifyRoutine(Thread2);
    PsRemoveCreateThreadNotifyRoutine(Thread3);
    PsRemoveCreateThreadNotifyRoutine(Thread4);
    PsRemoveCreateThreadNotifyRoutine(Thread5);
    PsRemoveCreateThreadNotifyRoutine(Thread6);
}
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    PsSetCreateThreadNotifyRoutine(Thread1);
    PsSetCreateThreadNotifyRoutine(Thread2);
    PsSetCreateThreadNotifyRoutine(Thread3);
    PsSetCreateThreadNotifyRoutine(Thread4);
    PsSetCreateThreadNotifyRoutine(Thread5);
    PsSetCreateThreadNotifyRoutine(Thread6);
    return STATUS_SUCCESS;
}
"""


@pytest.mark.parametrize("link", ["kdnet", "kdcom"] if SEEDS else ["kdnet"])
def test_more_routines_than_debug_registers(link: str, tmp_path: Path) -> None:
    source = tmp_path / "many"
    source.mkdir()
    (source / "many.c").write_text(MANY, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "many.sys").path
    result = ran(TREE, tmp_path, driver=driver, link=link)
    assert result.trace is not None
    events = list(TraceReader(result.trace))
    printed = [event.line.split()[1:] for event in events if event.line.startswith("thread ")]
    seen = [event for event in events if event.witness == "breakpoint"]
    routines = sorted({event.call.routine for event in seen if event.call is not None})
    assert len(routines) == 6
    told = [
        [str(1 + routines.index(event.call.routine)), f"{event.pid:016X}", f"{event.tid:016X}"]
        for event in seen
        if event.call is not None
    ]
    assert len(told) >= 100
    assert sorted(told) == sorted(printed)


@pytest.mark.parametrize("debugger", ["pykd", "ntoseye", "none"])
def test_a_debugger_that_cannot_is_refused(
    debugger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.debuggers.DebuggerKind.check", lambda self: None, raising=False)
    with pytest.raises(UsageError, match=f"--debugger {debugger} cannot") as refused:
        run(CREATE_THREAD, debugger=debugger, witness="breakpoint", trace_dir=tmp_path)
    assert "--debugger native" in refused.value.hint
