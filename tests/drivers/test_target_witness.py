"""What the target saw of a driver's callbacks is judged where the driver prints nothing, or where it is asked
for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import machines
from harness.api import check, run
from harness.errors import UsageError
from harness.events import WitnessName
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


def test_a_faulty_line_is_no_matter_where_the_target_is_asked(tmp_path: Path) -> None:
    late = build_driver(HERE / "plain" / "prints_image_late", Arch.X64, tmp_path / "late.sys").path
    assert ran(late, "load-library", tmp_path / "print").outcome is Outcome.BROKEN
    assert ran(late, "load-library", tmp_path / "target", witness="target").outcome is Outcome.PASSED


def test_what_nobody_offers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no witness 'hearsay'; known: print, target, breakpoint"):
        ran(None, "create-thread", tmp_path, witness="hearsay")  # type: ignore[arg-type]
