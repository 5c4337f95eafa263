"""``procnotify run`` when something goes wrong after some runs: what came of those is told all the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

import harness
import harness.api
import harness.cli.run
import harness.runs.series
from harness.errors import UsageError
from harness.outcome import Outcome
from harness.runs.progress import Progress, RunFinished
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces
from harness.runs.watch import Watch
from harness.scenario import Scenario
from harness.verdict.judge import Verdict

TEXT = "scenario: s\nsummary: s.\nexpect:\n  order: [process_create: any]\n"


class ScriptedRuns:
    """Stands in for rig and runs: the run with seed 3 finds that the input is wrong."""

    def __init__(self) -> None:
        self.at_closing: Exception | None = None
        """What closing the rig raises."""
        self.watch: Watch | None = None
        self.keep_traces: KeptTraces | None = None
        self.broken: set[int] = set()
        """Seeds of the runs that break a promise."""
        self._subscribers: tuple[Any, ...] = ()

    @contextmanager
    def open_rig(
        self,
        *,
        subscribers: tuple[Any, ...],
        watch: Watch,
        keep_traces: KeptTraces = KeptTraces.ALL,
        **_: object,
    ) -> Iterator[object]:
        self._subscribers, self.watch, self.keep_traces = subscribers, watch, keep_traces
        yield SimpleNamespace(traces=SimpleNamespace(path=None), keep_traces=keep_traces)
        if self.at_closing is not None:
            raise self.at_closing

    def run_scenario(self, rig: object, scenario: Scenario, *, seed: int) -> RunResult:
        if seed == 3:
            raise UsageError("no such profile", hint="take another")
        outcome = Outcome.BROKEN if seed in self.broken else Outcome.PASSED
        result = RunResult(scenario.name, scenario.path, seed, Verdict(outcome))
        for subscriber in self._subscribers:
            subscriber(RunFinished(result))
        return result


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedRuns:
    scripted = ScriptedRuns()
    monkeypatch.setattr(harness.runs.series, "run_scenario", scripted.run_scenario)
    monkeypatch.setattr(harness.cli.run, "open_rig", scripted.open_rig)
    monkeypatch.setattr(harness.api, "open_rig", scripted.open_rig)
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(TEXT, encoding="utf-8")
    return scripted


def run(*words: str) -> Result:
    return CliRunner().invoke(harness.cli.run.command, ["s.yaml", *words], standalone_mode=False)


def junit_names() -> list[str | None]:
    return [case.get("name") for case in ElementTree.parse("junit.xml").iter("testcase")]


def test_how_long_a_target_is_waited_for_can_be_said(runs: ScriptedRuns) -> None:
    assert run("--timeout", "20", "--step-timeout", "90").return_value == Outcome.PASSED
    assert runs.watch == Watch(silence=20.0, printing=90.0)
    harness.run("s.yaml", timeout=30, step_timeout=40)
    assert runs.watch == Watch(silence=30, printing=40)
    assert run().return_value == Outcome.PASSED
    assert runs.watch == Watch()


@pytest.mark.usefixtures("runs")
def test_wrong_input_that_a_run_finds_out_drops_no_earlier_result() -> None:
    result = run("--seed", "1", "--repeat", "5", "--junit", "junit.xml")
    assert result.return_value == Outcome.USAGE
    assert [line.split()[:4] for line in result.stdout.splitlines()[:2]] == [
        ["passed", "s", "seed", "1"],
        ["passed", "s", "seed", "2"],
    ]
    assert "2 passed in" in result.stdout
    assert result.stderr == "procnotify: no such profile; take another\n"
    assert junit_names() == ["s[seed=1]", "s[seed=2]"]


@pytest.mark.usefixtures("runs")
def test_the_document_has_the_results_and_the_error() -> None:
    result = run("--seed", "1", "--repeat", "5", "--json")
    document = json.loads(result.stdout)
    assert (result.return_value, document["exit_code"]) == (2, 2)
    assert document["error"] == "no such profile; take another"
    assert [one["seed"] for one in document["results"]] == [1, 2]


@pytest.mark.usefixtures("runs")
def test_wrong_input_that_the_first_run_finds_out_is_raised() -> None:
    result = run("--seed", "3")
    assert isinstance(result.exception, UsageError)
    assert "ran" not in result.stdout


def test_a_ci_service_is_told_and_the_document_stays_alone(
    runs: ScriptedRuns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs.broken = {2}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    command = "::error file=s.yaml,line=1,title=broken promise%3A s (seed 2)::"
    result = run("--repeat", "2")
    assert result.return_value == Outcome.BROKEN
    assert [line[: len(command)] for line in result.stdout.splitlines() if "::" in line] == [command]
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").count("### broken promise") == 1
    result = run("--repeat", "2", "--json")
    assert json.loads(result.stdout)["exit_code"] == 1
    assert command in result.stderr
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "summary.md"))
    result = run("--repeat", "2")
    assert result.return_value == Outcome.BROKEN
    assert "procnotify: warning: the step summary cannot be written to" in result.stderr


def test_python_hears_of_the_runs_before(runs: ScriptedRuns) -> None:
    heard: list[Progress] = []
    with pytest.raises(UsageError, match="no such profile"):
        harness.run("s.yaml", seed=1, repeat=5, on_progress=heard.append)
    assert [one.result.seed for one in heard if isinstance(one, RunFinished)] == [1, 2]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(5, "Input/output error"),
            "procnotify: internal error: OSError: [Errno 5] Input/output error",
        ),
        (harness.RigError("the machine did not stop"), "procnotify: the machine did not stop"),
    ],
)
def test_a_rig_that_cannot_be_closed_drops_no_result(runs: ScriptedRuns, error: Exception, said: str) -> None:
    runs.at_closing = error
    result = run("--seed", "1", "--repeat", "2", "--junit", "junit.xml")
    assert result.return_value == Outcome.RIG
    assert "2 passed in" in result.stdout
    assert result.stderr.startswith(said)
    assert junit_names() == ["s[seed=1]", "s[seed=2]"]


def test_a_range_of_seeds_is_run_and_only_what_does_not_pass_is_shown(runs: ScriptedRuns) -> None:
    result = run("--seeds", "1-2")
    assert result.return_value == Outcome.PASSED
    assert "seed 1" not in result.stdout
    assert "2 passed in" in result.stdout
    runs.broken.add(2)
    result = run("--seeds", "1-2")
    assert result.return_value == Outcome.BROKEN
    assert "seed 1" not in result.stdout
    assert "broken promise s                            seed 2" in result.stdout
    assert result.stderr == "again: procnotify run s.yaml --seed 2\n"


def test_the_words_that_show_a_run_again_have_all_that_decides_it(runs: ScriptedRuns) -> None:
    runs.broken.add(2)
    words = ["--policy", "random", "--processors", "4", "--print-mask", "0xf", "--driver", "a b.sys"]
    result = run("--seeds", "2-2", *words)
    quote = '"' if sys.platform == "win32" else "'"
    assert result.stderr == (
        f"again: procnotify run s.yaml --seed 2 --driver {quote}a b.sys{quote} --policy random --processors 4"
        " --print-mask DEFAULT=0xf\n"
    )


@pytest.mark.parametrize(
    ("words", "like"),
    [
        (["--kdfiles"], " --kdfiles"),
        (["--kdfiles", "--debugger", "pykd"], " --debugger pykd --kdfiles"),
        (["--machine", "lab.yaml"], " --machine lab.yaml"),
        (["--debugger", "none"], ""),
    ],
)
def test_they_name_who_is_not_the_usual_one(runs: ScriptedRuns, words: list[str], like: str) -> None:
    runs.broken.add(2)
    assert run("--seeds", "2-2", *words).stderr == f"again: procnotify run s.yaml --seed 2{like}\n"


@pytest.mark.parametrize("words", ["10", "2-1", "-1-2", "a-b", "1-2-3", "٣-4"])
@pytest.mark.usefixtures("runs")
def test_what_is_no_range_of_seeds_is_refused(words: str) -> None:
    result = run(f"--seeds={words}")
    assert isinstance(result.exception, click.BadParameter)
    assert "write a range of seeds, 1-100" in str(result.exception)


@pytest.mark.parametrize("more", [("--seed", "1"), ("--repeat", "2")])
@pytest.mark.usefixtures("runs")
def test_seeds_are_said_once(more: tuple[str, str]) -> None:
    assert isinstance(run("--seeds", "1-2", *more).exception, UsageError)


@pytest.mark.usefixtures("runs")
def test_several_jobs_need_no_debugger_in_their_way() -> None:
    result = run("--jobs", "2")
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint == "add --debugger none, or leave out --jobs"


def test_which_traces_are_kept(runs: ScriptedRuns) -> None:
    for words, kept in (
        ((), KeptTraces.ALL),
        (("--seeds", "1-2"), KeptTraces.FAILED),
        (("--seeds", "1-2", "--keep-traces", "all"), KeptTraces.ALL),
        (("--keep-traces", "failed"), KeptTraces.FAILED),
    ):
        run(*words)
        assert runs.keep_traces is kept
