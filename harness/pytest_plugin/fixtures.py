"""Fixtures for tests that are written in Python: docs/pytest.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from harness.pytest_plugin.outcomes import NoVerdict, describe_run, no_verdict_instead, told
from harness.pytest_plugin.sharedrig import shared_rig

if TYPE_CHECKING:
    from harness.machines import Machine
    from harness.outcome import Outcome
    from harness.runs.inspection import Inspection
    from harness.runs.result import RunResult
    from harness.scenario import Scenario
    from harness.trace.sources import TraceSource

__all__ = ["FIXTURES", "RunScenario", "debugger", "machine", "run_scenario", "trace"]

FIXTURES: Final = frozenset({"machine", "debugger", "run_scenario", "trace"})
"""Their names."""
ATTACH_SECONDS: Final = 60.0
"""So long the target may take to be there."""

_FilePath: TypeAlias = str | PathLike[str]


class RunScenario:
    """Runs scenarios on the rig of the session; what the fixture ``run_scenario`` gives.

    :param item: the test; its reports get what is to be known of the runs.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._shared = shared_rig(item.config)

    def __call__(
        self,
        scenario: _FilePath | Scenario,
        *,
        seed: int | None = None,
        expect: Outcome | None = None,
    ) -> RunResult:
        """Run ``scenario`` once; its result.

        Where it does not come out as expected the test fails with the account of the run, and is skipped with
        the reason where nothing of the scenario could be judged. A rig that failed and wrong input are
        pytest's errors, whatever is expected.

        :param scenario: loaded, or its file; a relative path begins at pytest's root folder.
        :param seed: of the virtual target; None for that of ``--procnotify-seed``, the scenario's own, or 1.
        :param expect: how it is to come out; None: :attr:`harness.Outcome.PASSED`.
        """
        __tracebackhide__ = True
        from harness.outcome import Outcome
        from harness.report.text import printable

        wanted = Outcome.PASSED if expect is None else expect
        with no_verdict_instead():
            result = self._shared.run(
                self._shared.rig_of_a_driver(), _loaded(self._item.config, scenario), seed
            )
        describe_run(self._item, result)
        _require_verdict(result)
        if result.outcome is wanted:
            return result
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(printable(result.reason))
        if result.outcome is Outcome.PASSED:
            pytest.fail(f"{result.path}: passed, and {wanted.words} was expected", pytrace=False)
        pytest.fail(told(result), pytrace=False)


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    """The machine on which the session's runs are done, as --procnotify-machine names it."""
    with no_verdict_instead():
        return shared_rig(pytestconfig).rig_of_a_driver().machine


@pytest.fixture
def debugger(request: pytest.FixtureRequest) -> Iterator[Inspection]:
    """A debugger on a target that is booted, has the driver loaded, and is halted; let go afterwards."""
    from harness.debuggers.base import Release
    from harness.errors import UsageError
    from harness.machines import PreparedMachine
    from harness.runs.inspection import inspect_virtual

    shared = shared_rig(request.config)
    released: list[Release] = []
    with no_verdict_instead():
        rig = shared.rig_of_a_driver()
        if rig.open_debugger is None:
            raise UsageError(
                "there is no debugger: --procnotify-debugger none", hint="choose another, native for example"
            )
        if isinstance(rig.machine, PreparedMachine):
            rig.machine.prepare()
    with shared.held(request.node.nodeid), ExitStack() as closing:
        with no_verdict_instead():
            inspecting = inspect_virtual(rig, timeout=ATTACH_SECONDS, released=released.append)
            inspection = closing.enter_context(inspecting)
        yield inspection
    if not released[0].running:
        raise NoVerdict(str(released[0]), pytrace=False)


@pytest.fixture
def run_scenario(request: pytest.FixtureRequest) -> RunScenario:
    """Runs a scenario with the session's driver; the test fails where a promise is broken."""
    return RunScenario(request.node)


@pytest.fixture
def trace(request: pytest.FixtureRequest) -> TraceSource:
    """The trace of the scenario that the test's marker names: @pytest.mark.scenario(path, seed=None)."""
    from harness.errors import UsageError
    from harness.trace.sources import open_trace

    shared = shared_rig(request.config)
    with no_verdict_instead():
        marker = request.node.get_closest_marker("scenario")
        if marker is None or not marker.args:
            raise UsageError(
                "the fixture `trace` does not know of which scenario",
                hint='mark the test: @pytest.mark.scenario("scenarios/NAME.yaml")',
            )
        rig = shared.rig_of_a_driver()
        scenario = _loaded(request.config, marker.args[0])
        result = shared.remembered_run(rig, scenario, marker.kwargs.get("seed"))
        describe_run(request.node, result)
        _require_verdict(result)
        if result.trace is None:
            raise NoVerdict(told(result), pytrace=False)
        return open_trace(result.trace, rig.grammar(scenario))


def _loaded(config: pytest.Config, scenario: _FilePath | Scenario) -> Scenario:
    from harness.scenario import Scenario, load

    return scenario if isinstance(scenario, Scenario) else load(config.rootpath / Path(scenario))


def _require_verdict(result: RunResult) -> None:
    from harness.outcome import Outcome

    if result.outcome in (Outcome.RIG, Outcome.USAGE):
        raise NoVerdict(told(result), pytrace=False)
