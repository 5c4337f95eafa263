"""JUnit XML: one test case a run, for the tools that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from junitparser import Attr, Error, Failure, IntAttr, JUnitXml, Property, Skipped, TestCase, TestSuite
from junitparser.junitparser import Properties

from harness.outcome import Outcome
from harness.report.explanation import account_text
from harness.report.frequency import frequencies
from harness.report.place import place_of
from harness.report.text import printable
from harness.runs.result import RunResult

__all__ = ["junit_xml", "write_junit"]


def junit_xml(results: Sequence[RunResult]) -> JUnitXml:
    """The results as a document.

    A broken promise and a bugcheck are failures; a failed rig is an error, for it says nothing about the
    driver. Where nothing could be judged the case is skipped. Of a scenario that ran more than once each
    case's name has its seed. ``file`` and ``line`` of a case are the scenario's file, and the line of the
    promise that was broken, as pytest and its readers have them.
    """
    times_run = Counter((result.path, result.scenario) for result in results)
    suite = TestSuite("procnotify")
    for result, often in zip(results, frequencies(results), strict=True):
        repeated = times_run[result.path, result.scenario] > 1
        suite.add_testcase(_case(result, often, with_seed=repeated))
    document = JUnitXml()
    document.add_testsuite(suite)
    document.update_statistics()
    return document


def write_junit(path: Path, results: Sequence[RunResult]) -> None:
    """Write the document to ``path``, making its folder if need be.

    :raises OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    junit_xml(results).write(str(path), pretty=True)


class _PlacedCase(TestCase):
    file = Attr()
    line = IntAttr()


def _case(result: RunResult, often: str, *, with_seed: bool) -> TestCase:
    name = f"{result.scenario}[seed={result.seed}]" if with_seed else result.scenario
    case = _placed_case(printable(name), result)
    if result.outcome is Outcome.SKIPPED:
        case.result = [Skipped(printable(result.reason), result.outcome.words)]
    elif result.outcome.failed:
        kind = Failure if result.outcome in (Outcome.BROKEN, Outcome.BUGCHECK) else Error
        verdict = kind(printable(result.reason), result.outcome.words)
        verdict.text = printable(account_text(result, often))
        case.result = [verdict]
    properties = Properties()
    for key, value in _facts(result).items():
        properties.append(Property(key, value))
    case.append(properties)
    said = [*result.not_judged_lines, *result.notes]
    if result.trace is not None:
        said.append(f"trace: {result.trace}")
    if said:
        case.system_out = printable("\n".join(said))
    return case


def _placed_case(name: str, result: RunResult) -> TestCase:
    case = _PlacedCase(name, classname=_class_name(result.path), time=result.seconds)
    place = place_of(result)
    case.file, case.line = printable(place.path.as_posix()), place.line
    return case


def _class_name(path: Path) -> str:
    """Dotted, as the readers of JUnit XML group by it."""
    return printable(path.with_suffix("").as_posix().strip("/.").replace("/", "."))


def _facts(result: RunResult) -> dict[str, str]:
    facts = {"seed": str(result.seed), "outcome": str(int(result.outcome)), "events": str(result.events)}
    facts |= {"promises_held": str(result.held), "promises_not_judged": str(result.not_judged)}
    if result.retries:
        facts["retries"] = str(result.retries)
    if result.trace is not None:
        facts["trace"] = printable(str(result.trace))
    return facts
