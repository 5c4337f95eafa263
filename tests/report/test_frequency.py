"""How often a cause came, and when the same run passed last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.report.frequency import Frequency, frequency_of, frequency_words
from harness.runs.result import RunResult
from harness.trace.format import Header, encode
from harness.verdict.judge import Verdict

BROKEN = RunResult("a", Path("a.yaml"), 1, Verdict(Outcome.BROKEN, "why"))
PASSED = replace(BROKEN, verdict=Verdict(Outcome.PASSED))
OLDER, OLD, NOW, LATER = (f"2026112{day}-120000-abcdef" for day in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Frequency(1, 1, (1,), None), ""),
        (Frequency(1, 3, (2,), None), "how often: 1 of 3 runs (seed 2)"),
        (
            Frequency(10, 40, tuple(range(1, 11)), None),
            "how often: 10 of 40 runs (seeds 1, 2, 3, 4, 5, 6, 7, 8 and 2 more)",
        ),
        (Frequency(1, 1, (1,), Path("t")), "it passed last in t"),
        (Frequency(1, 2, (1,), Path("t")), "how often: 1 of 2 runs (seed 1); it passed last in t"),
    ],
)
def test_how_often_in_words(found: Frequency, words: str) -> None:
    assert frequency_words(found) == words


def test_the_runs_of_the_scenarios_that_it_came_in_are_counted() -> None:
    other = replace(PASSED, scenario="b", path=Path("b.yaml"))
    again = replace(BROKEN, seed=3)
    results = [BROKEN, replace(PASSED, seed=2), again, other]
    assert frequency_of([BROKEN, again], results) == Frequency(2, 3, (1, 3), None)


def trace_in(
    root: Path,
    folder: str,
    outcome: str,
    name: str = "a-1.jsonl",
    *,
    scenario: str = "a",
    seed: int | None = 1,
) -> Path:
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "outcome.txt").write_text(f"{outcome}\n", encoding="utf-8")
    (root / folder / name).write_bytes(encode(Header(scenario=scenario, seed=seed)))
    return root / folder / name


def test_the_last_good_run_is_of_the_newest_call_before_that_passed(tmp_path: Path) -> None:
    good = trace_in(tmp_path, OLDER, "passed")
    trace_in(tmp_path, OLD, "broken promise")
    trace_in(tmp_path, LATER, "passed")
    broken = replace(BROKEN, trace=trace_in(tmp_path, NOW, "broken promise"))
    assert frequency_of([broken], [broken]).last_good == good


def test_there_is_no_last_good_run_of_another_scenario_or_outside_of_a_trace_folder(tmp_path: Path) -> None:
    trace_in(tmp_path, OLDER, "passed", "b-1.jsonl", scenario="b")
    broken = replace(BROKEN, trace=trace_in(tmp_path, NOW, "broken promise"))
    assert frequency_of([broken], [broken]).last_good is None
    (tmp_path / "elsewhere").mkdir()
    outside = replace(BROKEN, trace=tmp_path / "elsewhere" / "a-1.jsonl")
    assert frequency_of([outside], [outside]).last_good is None


@pytest.mark.parametrize(("scenario", "seed"), [("other", 1), ("a", 2), ("a", None)])
def test_a_trace_of_the_same_name_is_of_the_run_only_if_its_header_says_so(
    tmp_path: Path, scenario: str, seed: int | None
) -> None:
    """Scenario files of one name lie in several folders."""
    trace_in(tmp_path, OLD, "passed", scenario=scenario, seed=seed)
    broken = replace(BROKEN, trace=trace_in(tmp_path, NOW, "broken promise"))
    assert frequency_of([broken], [broken]).last_good is None
    older = trace_in(tmp_path, OLDER, "passed")
    assert frequency_of([broken], [broken]).last_good == older
    beside = trace_in(tmp_path, OLD, "passed", "a-1~2.jsonl")
    assert frequency_of([broken], [broken]).last_good == beside


def test_what_is_no_trace_is_not_said_to_have_passed(tmp_path: Path) -> None:
    trace_in(tmp_path, OLD, "passed").write_text("{}", encoding="utf-8")
    broken = replace(BROKEN, trace=trace_in(tmp_path, NOW, "broken promise"))
    assert frequency_of([broken], [broken]).last_good is None
