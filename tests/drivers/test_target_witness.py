"""What the target saw of a driver's callbacks is judged where the driver prints nothing, or where it is asked
for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import machines
from harness.api import check, run
from harness.errors import UsageError
from harness.events import WitnessName
from harness.grammars import BUILTIN
from harness.outcome import Outcome
from harness.runs.result import RunResult
from harness.toolchain import Arch, build_driver
from harness.trace import TraceReader
from harness.virtual import callbackcalls

HERE = Path(__file__).resolve().parent
SCENARIOS = HERE.parents[1] / "scenarios"
SILENT = '#define PRINT(Format, ...) ((void)0)\n#include "{}/plain/plain.h"\n'


def built(folder: Path, name: str, *, before: str = "") -> Path:
    source = folder / name
    source.mkdir()
    text = before + SILENT.format(HERE.as_posix())
    (source / f"{name}.c").write_text(text, encoding="utf-8", newline="\n")
    return build_driver(source, Arch.X64, folder / f"{name}.sys").path


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver without a fault that prints nothing at all."""
    return built(tmp_path_factory.mktemp("silent"), "silent")


def ran(
    driver: Path | None,
    scenario: str,
    folder: Path,
    *,
    witness: WitnessName | None = None,
    debugger: str = "none",
) -> RunResult:
    path = SCENARIOS / f"{scenario}.yaml"
    series = run(path, driver=driver, debugger=debugger, witness=witness, trace_dir=folder)
    (result,) = series.results
    return result


def between(trace: Path) -> list[bytes]:
    return trace.read_bytes().splitlines()[1:-1]


@pytest.mark.parametrize("scenario", ["create-thread", "notepad-launch", "process-tree-exit"])
def test_a_driver_that_prints_nothing_gets_a_verdict(silent: Path, scenario: str, tmp_path: Path) -> None:
    result = ran(silent, scenario, tmp_path)
    assert (result.outcome, result.witness) == (Outcome.PASSED, "target"), result.reason
    assert result.held >= 40
    assert any("judged is what the target saw" in note for note in result.notes)
    assert result.trace is not None
    judged = check(result.trace, SCENARIOS / f"{scenario}.yaml")
    assert (judged.outcome, judged.witness, judged.held) == (Outcome.PASSED, "target", result.held)


def test_asked_for_its_lines_it_was_not_heard(silent: Path, tmp_path: Path) -> None:
    result = ran(silent, "create-thread", tmp_path, witness="print")
    assert result.outcome is Outcome.RIG
    assert "no line of the driver arrived" in result.reason


def test_what_it_does_to_the_target_outweighs_its_order(tmp_path: Path) -> None:
    forgets = built(tmp_path, "forgets", before="#define REMOVE_THREAD_CALLBACK() STATUS_SUCCESS\n")
    result = ran(forgets, "driver-load-unload", tmp_path / "traces")
    assert (result.outcome, result.witness) == (Outcome.BUGCHECK, "target")
    assert result.trace is not None
    assert {"print", "target"} == {event.witness for event in TraceReader(result.trace)}


def test_an_order_that_is_not_kept_is_broken(silent: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "scenario: wrong\nsummary: s.\nsteps: [exit: 0]\n"
        "expect:\n  order: [process_exit: any, process_create: {pid: 0x7fffffff}]\n",
        encoding="utf-8",
        newline="\n",
    )
    (result,) = run(wrong, driver=silent, debugger="none", trace_dir=tmp_path).results
    assert (result.outcome, result.witness) == (Outcome.BROKEN, "target")


def test_the_trace_is_the_same_whoever_listens(tmp_path: Path) -> None:
    direct = ran(None, "create-thread", tmp_path / "direct", witness="target")
    heard = ran(None, "create-thread", tmp_path / "heard", witness="target", debugger="native")
    lines = ran(None, "create-thread", tmp_path / "lines")
    assert direct.trace is not None and heard.trace is not None and lines.trace is not None
    both = between(direct.trace)
    assert both == between(heard.trace)
    printed = between(lines.trace)
    assert both[: len(printed)] == printed, "what the target saw comes behind what was captured"
    assert len(both) > len(printed)


def test_what_a_child_process_remembers_is_asked_for_in_parts(
    silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ran(silent, "create-thread", tmp_path / "whole", debugger="native")
    monkeypatch.setattr(machines.virtual, "_CALLS_AT_ONCE", 5)
    parts = ran(silent, "create-thread", tmp_path / "parts", debugger="native")
    assert whole.trace is not None and parts.trace is not None
    assert between(whole.trace) == between(parts.trace)


def test_an_order_of_which_the_target_forgot_a_part_is_not_judged(
    silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbackcalls, "MAX_REMEMBERED", 10)
    result = ran(silent, "create-thread", tmp_path)
    assert result.outcome is Outcome.RIG
    assert "callbacks more than it remembers" in result.reason


def test_the_driver_of_the_project_agrees_with_its_calls_event_for_event(tmp_path: Path) -> None:
    """PROCNOTIFY_SEEDS: on how many seeds of every shipped scenario."""
    seeds = int(os.environ.get("PROCNOTIFY_SEEDS", "0"))
    paths = sorted(SCENARIOS.glob("*.yaml"))
    if not seeds:
        seeds, paths = 3, [path for path in paths if path.stem != "thirty-launches"]
    results = run(paths, debugger="none", repeat=seeds, seed=1, trace_dir=tmp_path).results
    assert len(results) == seeds * len(paths)
    for result in results:
        agreement = result.agreement
        assert agreement is not None, result.scenario
        assert (agreement.findings, agreement.more, agreement.not_judged) == ((), 0, ()), result.scenario
        assert agreement.compared >= 8


def test_the_lines_are_held_against_the_calls_whoever_listens(tmp_path: Path) -> None:
    twice = HERE / "plain" / "prints_process_exit_twice"
    driver = build_driver(twice, Arch.X64, tmp_path / "twice.sys").path
    direct = ran(driver, "create-thread", tmp_path / "direct")
    heard = ran(driver, "create-thread", tmp_path / "heard", debugger="native")
    assert direct.agreement is not None and direct.agreement == heard.agreement
    assert direct.trace is not None and heard.trace is not None
    assert between(direct.trace) == between(heard.trace)


HIDES = """
#include <ntddk.h>
static volatile long Images;
#define PRINT_IMAGE(Process, Name, Base) \\
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, InterlockedIncrement(&Images) % 2 ? 0 : DPFLTR_INFO_LEVEL, \\
        "[procnotify] ImageCallback PID(%u) loaded a/an %wZ at 0x%p\\n", HandleToULong(Process), Name, Base)
#include "{}/plain/plain.h"
"""


def test_what_the_print_filter_hides_is_not_missed(tmp_path: Path) -> None:
    folder = tmp_path / "hides"
    folder.mkdir()
    text = HIDES.replace("{}", HERE.as_posix())
    (folder / "hides.c").write_text(text, encoding="utf-8", newline="\n")
    hides = build_driver(folder, Arch.X64, tmp_path / "hides.sys").path
    result = ran(hides, "process-tree-exit", tmp_path / "hidden")
    assert result.agreement is not None and result.agreement.findings == ()
    assert any("the print filter kept" in said for said in result.not_judged_lines)
    open_masks = run(
        SCENARIOS / "process-tree-exit.yaml",
        driver=hides,
        debugger="none",
        print_masks={"IHVDRIVER": 0xF},
        trace_dir=tmp_path / "open",
    )
    (result,) = open_masks.results
    assert result.agreement is not None
    assert (result.agreement.findings, result.agreement.not_judged) == ((), ())


def test_a_grammar_that_promises_nothing_may_leave_lines_out(tmp_path: Path) -> None:
    drops = build_driver(HERE / "plain" / "drops_every_tenth_line", Arch.X64, tmp_path / "drops.sys").path
    own = tmp_path / "own.lines.yaml"
    text = BUILTIN.read_text(encoding="utf-8").replace("complete: true\n", "complete: false\n")
    own.write_text(text, encoding="utf-8", newline="\n")
    (result,) = run(
        SCENARIOS / "create-thread.yaml", driver=drops, debugger="none", lines=own, trace_dir=tmp_path
    ).results
    assert result.agreement is not None and result.agreement.findings == ()


def test_what_nobody_offers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no witness 'hearsay'; known: print, target, breakpoint"):
        ran(None, "create-thread", tmp_path, witness="hearsay")  # type: ignore[arg-type]
