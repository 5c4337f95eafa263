"""The reports of pytest about runs, also of those that a worker of xdist did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypedDict

import pytest

if TYPE_CHECKING:
    from harness.runs.result import RunResult

__all__ = ["RunFacts", "RunReports", "facts_of"]


class RunFacts(TypedDict):
    """What a session is to know of a run: plain values, for xdist carries them from its workers."""

    file: str
    """The scenario's, as the rest of pytest names files."""
    nothing_judged: bool
    promises: list[tuple[int, str]]
    """Lines of the file, from 1, whose promises could not be judged, with what and why."""
    not_judged_lines: list[str]
    """All that could not be judged: whether lines and calls agree is no promise."""


def facts_of(result: RunResult, file: str) -> RunFacts:
    """What the session is to know of a run."""
    from harness.outcome import Outcome
    from harness.pytest_plugin.outcomes import not_judged_promises
    from harness.report.text import printable

    return RunFacts(
        file=file,
        nothing_judged=result.outcome is Outcome.SKIPPED,
        promises=[(line, printable(text)) for line, text in not_judged_promises(result)],
        not_judged_lines=[printable(line) for line in result.not_judged_lines],
    )


class RunReports:
    """Takes what the last report of each run carries as ``procnotify``, in the process that tells the user.

    A promise that could not be judged is a skip of its own, where others of the run could: a report beside
    that of the item, for only the run shows which these are.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: pytest.Session | None = None
        self._facts: list[RunFacts] = []

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts: RunFacts | None = getattr(report, "procnotify", None)
        if facts is None:
            return
        self._facts.append(facts)
        if facts["nothing_judged"]:
            return
        times: Counter[int] = Counter()
        for line, text in facts["promises"]:
            times[line] += 1
            again = f" ({times[line]})" if times[line] > 1 else ""
            self._tell_skip(f"{report.nodeid}::line {line}{again}", facts["file"], line, text)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Where every test was a scenario of which nothing could be judged, nothing was tested."""
        skipped = sum(facts["nothing_judged"] for facts in self._facts)
        if exitstatus == pytest.ExitCode.OK and skipped and skipped == session.testscollected:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What could not be judged, once for each scenario."""
        lines = [line for facts in self._facts for line in facts["not_judged_lines"]]
        if lines:
            terminalreporter.section("promises that were not judged")
            for line in dict.fromkeys(lines):
                terminalreporter.line(line)

    def _tell_skip(self, nodeid: str, file: str, line: int, reason: str) -> None:
        if self._session is not None:
            self._session.testscollected += 1  # else more than all would be done
        name = nodeid.rpartition("::")[2]
        phases: tuple[tuple[Literal["setup", "teardown"], Literal["skipped", "passed"]], ...]
        phases = (("setup", "skipped"), ("teardown", "passed"))
        for when, outcome in phases:
            report = pytest.TestReport(
                nodeid=nodeid,
                location=(file, line - 1, name),
                keywords={},
                outcome=outcome,
                longrepr=(file, line, reason) if outcome == "skipped" else None,
                when=when,
                user_properties=[("file", file), ("line", line)],
            )
            self._config.hook.pytest_runtest_logreport(report=report)
