"""Scenario files as files of tests, and a run as an item."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.outcomes import NoVerdict, describe_run, line_of, no_verdict_instead, told
from harness.pytest_plugin.sharedrig import shared_rig

if TYPE_CHECKING:
    from harness.runs.result import RunResult
    from harness.scenario import Scenario

__all__ = ["ScenarioFile", "ScenarioItem"]


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each seed; a scenario that is wrong is a collection error with file and line."""
        from harness.errors import ProjectFileError, ScenarioError
        from harness.runs.runner import seed_of
        from harness.scenario import load

        try:
            scenario = load(self.path)
            machine = shared_rig(self.config).machine
        except ScenarioError as error:
            raise self.CollectError("\n".join(map(str, error.mistakes))) from None
        except ProjectFileError as error:
            raise self.CollectError(str(error)) from None
        option = self.config.getoption
        first, repeat = seed_of(scenario, option("--procnotify-seed")), option("--procnotify-repeat")
        items = [
            ScenarioItem.from_parent(
                self,
                name=f"{scenario.name}[seed={seed}]" if repeat > 1 else scenario.name,
                scenario=scenario,
                seed=seed,
            )
            for seed in range(first, first + repeat)
        ]
        if self.config.pluginmanager.hasplugin("xdist") and machine != "virtual":
            for item in items:
                # There is one of it: with --dist loadgroup one process does all runs on it.
                item.add_marker(pytest.mark.xdist_group(machine))
        return items


class ScenarioItem(pytest.Item):
    """One run of a scenario. It has a marker ``requires(kind=...)`` for each kind of event without which
    the scenario, or a block of it, is not judged."""

    def __init__(self, *, scenario: Scenario, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.seed = seed
        self.result: RunResult | None = None
        """Of the run, once it came to its end."""
        blocks = (pattern for block in scenario.expect for pattern in block.requires)
        for kind in dict.fromkeys(pattern.kind for pattern in (*scenario.requires, *blocks)):
            self.add_marker(pytest.mark.requires(kind=kind))

    def setup(self) -> None:
        """Run the scenario. What is not the driver's fault ends here, as an error."""
        from harness.outcome import Outcome
        from harness.report.text import printable

        shared = shared_rig(self.config)
        with no_verdict_instead():
            self.result = result = shared.run(shared.rig(), self.scenario, self.seed)
        line = line_of(result, self.scenario.line)
        self.user_properties += [("file", self.location[0]), ("line", line)]
        describe_run(self, result)
        if result.outcome in (Outcome.USAGE, Outcome.RIG):
            raise NoVerdict(told(result), pytrace=False)
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(printable(result.reason))

    def runtest(self) -> None:
        """Judge the driver."""
        from harness.outcome import Outcome

        assert self.result is not None
        if self.result.outcome is not Outcome.PASSED:
            pytest.fail(told(self.result), pytrace=False)

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """Where the item is written: the line of ``scenario:``, counted from 0."""
        return self.path, self.scenario.line - 1, self.scenario.name
