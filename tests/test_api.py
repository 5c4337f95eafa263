"""The front door for Python: what ``import harness`` offers, and that it costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import errors, events
from harness.outcome import Outcome
from harness.runs.progress import EventCaptured, RunFinished
from harness.toolchain import Arch, build_driver
from tools.rooms import PACKAGE

ROOT = PACKAGE.parent
SCENARIO = ROOT / "scenarios" / "create-thread.yaml"


def in_a_fresh_python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return done.stdout.decode("utf-8").split()


def test_every_name_that_is_offered_is_there() -> None:
    assert len(set(harness.__all__)) == len(harness.__all__)
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    assert set(harness.__all__) <= set(dir(harness))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = harness.nonsense  # type: ignore[attr-defined]


def test_the_whole_error_tree_is_offered() -> None:
    assert set(errors.__all__) <= set(harness.__all__)
    assert all(getattr(harness, name) is getattr(errors, name) for name in errors.__all__)


def test_every_kind_of_event_is_offered() -> None:
    assert {cls.__name__ for cls in events.KINDS.values()} <= set(harness.__all__)
    assert harness.KINDS is events.KINDS


def test_no_offered_name_is_a_module_too() -> None:
    """Importing ``harness.x`` would put the module in the place of the function ``x``."""
    modules = {path.stem for path in PACKAGE.iterdir()}
    assert modules & set(harness.__all__) == set()


def test_importing_the_package_imports_none_of_its_rooms() -> None:
    loaded = in_a_fresh_python(
        "import sys; before = set(sys.modules); import harness\n"
        "print(*(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    ours = [name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names]
    assert ours == ["harness"]


def test_asking_for_an_error_imports_no_more_than_the_errors() -> None:
    loaded = in_a_fresh_python(
        "import sys, harness; harness.TargetLost\n"
        "print(*(name for name in sys.modules if name.startswith('harness.')))"
    )
    assert set(loaded) == {"harness.errors", "harness.bugcheckcodes"}


def test_a_star_import_brings_what_is_offered() -> None:
    names = in_a_fresh_python("from harness import *\nprint(*sorted(n for n in globals() if n[0] != '_'))")
    assert names == sorted(harness.__all__)


@pytest.mark.parametrize(
    ("scenarios", "repeat", "said"),
    [
        ([], 1, "there is no scenario to run"),
        (SCENARIO, 0, "repeat must be at least 1, not 0"),
        ("nowhere.yaml", 1, "there is no file or folder nowhere.yaml"),
    ],
)
def test_nothing_to_run_is_a_mistake_and_no_pass(scenarios: object, repeat: int, said: str) -> None:
    with pytest.raises(harness.UsageError, match=said):
        harness.run(scenarios, repeat=repeat)  # type: ignore[arg-type]


def test_of_several_wrong_scenarios_every_one_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(f"scenario: {name}\nsummary: s\n", encoding="utf-8")
    with pytest.raises(harness.ScenarioError, match=r"a\.yaml:1: scenario lacks 'expect'") as raised:
        harness.run(tmp_path)
    notes = raised.value.__notes__
    assert [Path(note.split(":1:")[0]).name for note in notes] == ["b.yaml", "c.yaml"]


def test_a_run_tells_what_happens_and_what_came_of_it(tmp_path: Path) -> None:
    told: list[object] = []
    scenario = harness.load_scenario(str(SCENARIO))
    series = harness.run(
        [scenario, SCENARIO], seed=5, repeat=1, trace_dir=str(tmp_path), on_progress=told.append
    )
    assert series.outcome is Outcome.PASSED is harness.Outcome.PASSED
    assert [(result.scenario, result.seed) for result in series.results] == [(scenario.name, 5)] * 2
    assert sum(isinstance(item, RunFinished) for item in told) == 2
    captured = [item.event for item in told if isinstance(item, EventCaptured)]
    assert len(captured) == sum(result.events for result in series.results)


OTHER = """\
#include <ntddk.h>
DRIVER_UNLOAD Leave;
DRIVER_INITIALIZE DriverEntry;
VOID NTAPI Leave(PDRIVER_OBJECT d) { UNREFERENCED_PARAMETER(d); DbgPrint("other: gone\\n"); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT d, PUNICODE_STRING p)
{
    UNREFERENCED_PARAMETER(p);
    d->DriverUnload = Leave;
    DbgPrint("other: here\\n");
    return STATUS_SUCCESS;
}
"""


def test_a_driver_may_have_another_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text(OTHER, encoding="utf-8")
    other = build_driver(tmp_path / "other.c", Arch.X64, tmp_path / "other.sys").path
    lines: list[str] = []

    def watch(item: object) -> None:
        if isinstance(item, EventCaptured):
            lines.append(item.event.line)

    series = harness.run(
        SCENARIO,
        other_drivers=[other],
        print_masks={"DEFAULT": 0xF},
        trace_dir=tmp_path,
        on_progress=watch,
    )
    assert series.outcome is Outcome.PASSED
    prints = [line for line in lines if line.startswith("other:") or " DriverUnload " in line]
    assert prints[0] == "other: here"
    assert "totals" in prints[-2]
    assert prints[-1] == "other: gone"
