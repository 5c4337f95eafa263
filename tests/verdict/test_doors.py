"""Run, check, record and pytest judge the same: every switch, and faults beside the order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from lives import born, died
from traces import BREAKING, image, placed, scenario_text

import harness.cli.record
import harness.runs.opening
import harness.runs.runner
from harness.cli.check import command as check
from harness.cli.record import command as record
from harness.debuggers.base import Release, TargetInfo
from harness.debuggers.stops import StopTally
from harness.events import Bugcheck, Event, Stop
from harness.grammars import builtin_grammar
from harness.lines import Grammar
from harness.outcome import Outcome
from harness.recorder import Recording
from harness.runs.runner import run_scenario
from harness.runs.witnesses import Sight
from harness.scenario import RULES, Scenario, load
from harness.trace import Header, TraceWriter

pytest_plugins = ["pytester"]

CRASH = Bugcheck(index=0, code=0x50, parameters=(1, 2, 3, 4))
SECOND_CHANCE = Stop(index=0, code=0xC0000005, address=1, first_chance=False)
BACK: list[Event] = [image(seq=9, time=10**9), image(seq=9, time=5)]
RUNNING = Release(True, "its clock moved")


def cases() -> dict[str, tuple[list[Event], str, int]]:
    """Name → events, the scenario's text, the exit code."""
    plain = scenario_text()
    found = {
        "all-held": ([image()], plain, 0),
        "order": ([born(), died()], plain, 1),
        "nothing-heard": ([], plain, 3),
        "went-back": (BACK, plain, 3),
        "second-chance": ([image(), SECOND_CHANCE], plain, 1),
        "bugcheck": ([image(), CRASH], plain, 4),
        "nothing-to-judge": ([image()], f"{plain}requires: {{driver: any}}\n", 5),
    }
    for rule in RULES:
        found[rule] = (BREAKING[rule], plain, 3 if rule == "no_lost_lines" else 1)
        found[f"{rule}-off"] = (BREAKING[rule], scenario_text(off=[rule]), 0)
    return found


CASES = cases()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scenario a case."""
    for name, (_, text, _) in CASES.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


class CannedCapture:
    """Stands in for the live half of a run: what it would have captured."""

    release: ClassVar = RUNNING
    trace: ClassVar = None
    bindings: ClassVar[dict[str, int]] = {}
    calls: ClassVar = None
    witness: ClassVar = "print"
    notes: ClassVar[list[str]] = []

    def __init__(self, rig: object, scenario: Scenario, seed: int) -> None:
        self.events = placed(CASES[scenario.path.stem][0])

    def run(self) -> None: ...

    def take_sight(self, sight: Sight) -> None:
        assert sight.calls is None

    def finish(self, outcome: str, reason: str, *, complete: bool) -> None:
        assert complete
        assert bool(reason) == (outcome != Outcome.PASSED.words)


class AnyRig:
    """A rig of which nothing is wanted."""

    retries = 0
    drivers = ()
    strict = False
    machine = None
    witness = None

    def grammar(self, scenario: Scenario) -> Grammar:
        return builtin_grammar()

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: object) -> None: ...


def by_run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, strict: bool = False) -> dict[str, int]:
    rig: Any = AnyRig()
    rig.strict = strict
    monkeypatch.setattr(harness.runs.runner, "DebuggedCapture", CannedCapture)
    return {name: run_scenario(rig, load(folder / f"{name}.yaml"), seed=1).outcome for name in CASES}


def by_check(folder: Path, monkeypatch: pytest.MonkeyPatch, *, strict: bool = False) -> dict[str, int]:
    found = {}
    switches = ["--strict"] if strict else []
    for name, (events, _, _) in CASES.items():
        trace = folder / "t.jsonl"
        with TraceWriter(trace, Header()) as writer:
            writer.write(placed(events))
            writer.finish(outcome="passed")
        words = [str(trace), str(folder / f"{name}.yaml"), *switches]
        found[name] = CliRunner().invoke(check, words).exit_code
    return found


def by_record(folder: Path, monkeypatch: pytest.MonkeyPatch, *, strict: bool = False) -> dict[str, int]:
    found = {}
    switches = ["--strict"] if strict else []

    class CannedRecorder:
        def __init__(
            self,
            debugger: object,
            attached: Callable[[TargetInfo], None],
            record: Callable[[Event], None],
            grammar: object,
            **_: object,
        ) -> None:
            self._attached, self._record = attached, record

        def run(self, **_: object) -> Recording:
            self._attached(TargetInfo(18362, 0x8664, 1, 0, "canned"))
            for event in placed(CASES[name][0]):
                self._record(event)
            return Recording(RUNNING, None, 0, StopTally(), None, False, None)

    monkeypatch.setattr(harness.cli.record, "Recorder", CannedRecorder)
    for name in CASES:
        words = ["net:port=50000,key=1.2.3.4", "--check", str(folder / f"{name}.yaml"), *switches]
        result = CliRunner().invoke(record, words, standalone_mode=False)
        assert result.exception is None, result.output
        found[name] = int(result.return_value)
    return found


@pytest.mark.parametrize("door", [by_run, by_check, by_record])
def test_a_situation_and_a_switch_mean_the_same_at_every_door(
    folder: Path, monkeypatch: pytest.MonkeyPatch, door: Callable[..., dict[str, int]]
) -> None:
    assert door(folder, monkeypatch) == {name: code for name, (_, _, code) in CASES.items()}


@pytest.mark.parametrize("door", [by_run, by_check, by_record])
def test_what_cannot_be_judged_is_an_error_where_that_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, door: Callable[..., dict[str, int]]
) -> None:
    found = door(folder, monkeypatch, strict=True)
    assert found["nothing-to-judge"] == 3
    assert found["all-held"] == 3, "its lines have no totals and no context"
    assert (found["order"], found["bugcheck"]) == (1, 4), "what the driver did counts first"


def test_and_so_they_do_in_pytest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester
) -> None:
    """A failed rig is pytest's error, everything of the driver its failure."""

    @contextlib.contextmanager
    def rig(**_: object) -> Iterator[AnyRig]:
        yield AnyRig()

    monkeypatch.setattr(harness.runs.runner, "DebuggedCapture", CannedCapture)
    monkeypatch.setattr(harness.runs.opening, "open_rig", rig)
    ended = pytester.inline_run(str(folder), "-p", "no:cacheprovider")
    failed: dict[str, set[str]] = {name: set() for name in CASES}
    for report in ended.getreports("pytest_runtest_logreport"):
        if report.outcome == "failed":
            failed[Path(report.nodeid.partition("::")[0]).stem].add(report.when)
    expected = {0: set(), 3: {"setup"}, 1: {"call"}, 4: {"call"}, 5: set()}
    assert failed == {name: expected[code] for name, (_, _, code) in CASES.items()}
