"""Scenarios as pytest items, ``pytest scenarios``, and fixtures for tests that are written in Python.

A scenario file is collected where the command line names it or a folder above it, and only if its first key
is ``scenario``, so that other projects' YAML is left alone. A run happens in the item's set-up: a failed rig
is pytest's *error*, a broken promise or a bugcheck its *failure*, what cannot be judged a *skip*.

This package is imported by every pytest of the environment; it imports the rest of ours when the first
scenario is collected, or the first test wants a fixture.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from harness.pytest_plugin.fixtures import FIXTURES, RunScenario, debugger, machine, run_scenario, trace
from harness.pytest_plugin.htmlreport import HtmlReport, carry_run, require_page
from harness.pytest_plugin.items import ScenarioFile, ScenarioItem
from harness.pytest_plugin.options import pytest_addoption
from harness.pytest_plugin.outcomes import is_no_verdict, line_of
from harness.pytest_plugin.reports import RunReports, facts_of
from harness.pytest_plugin.sharedrig import close_rig

__all__ = [
    "RunScenario",
    "ScenarioFile",
    "ScenarioItem",
    "debugger",
    "machine",
    "pytest_addoption",
    "run_scenario",
    "trace",
]

_SUFFIXES = (".yaml", ".yml")
"""Those of :data:`harness.yamlfile.finding.SUFFIXES`, not imported for every file of other projects."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and tell of runs in the process that tells of anything."""
    config.addinivalue_line(
        "markers", "scenario(path, seed=None): whose run the fixture `trace` of procnotify is of"
    )
    config.addinivalue_line(
        "markers", "requires(kind): procnotify's, of a scenario that is not judged without such an event"
    )
    if not hasattr(config, "workerinput"):  # else the process that xdist began in does
        config.pluginmanager.register(RunReports(config), "procnotify-reports")
        if html := config.getoption("--procnotify-html"):
            path = config.invocation_params.dir / html
            require_page(path)
            config.pluginmanager.register(HtmlReport(path), "procnotify-html-report")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file that was asked for."""
    if file_path.suffix.lower() not in _SUFFIXES or not _asked_for(file_path, parent.config):
        return None
    from harness.runs.scenarios import is_scenario

    if not is_scenario(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report stand at the line that a run's reason is about, and what says nothing about the driver
    be an error, where a test in Python finds it out."""
    report = yield
    if isinstance(item, ScenarioItem):
        _place(report, item)
    elif report.when == "call" and report.failed and call.excinfo is not None:
        uses_rig = not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        if uses_rig and is_no_verdict(call.excinfo.value):
            report.when = "setup"  # what fails there is an error to pytest, and to the readers of JUnit XML
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Free the rig, if a test used it."""
    close_rig(config)


def _place(report: pytest.TestReport, item: ScenarioItem) -> None:
    if item.result is None:
        return
    file, _, name = report.location
    line = line_of(item.result, item.scenario.line)
    report.location = (file, line - 1, name)
    if report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = (file, line, report.longrepr[2])
    if report.when == "teardown":
        report.__dict__["procnotify"] = facts_of(item.result, file)
        if item.config.getoption("--procnotify-html"):
            carry_run(report, item.result)


def _asked_for(path: Path, config: pytest.Config) -> bool:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    base = config.invocation_params.dir
    named = ((base / argument.partition("::")[0]).resolve() for argument in config.args)
    return any(path.resolve().is_relative_to(folder) for folder in named)
