"""Scenarios as pytest items: ``pytest scenarios``.

A scenario file is collected where the command line names it or a folder above it, and only if its first key
is ``scenario``, so that other projects' YAML is left alone. A run happens in the item's set-up: a failed rig
is pytest's *error*, a broken promise or a bugcheck its *failure*.

This module is imported by every pytest of the environment; it imports the rest of the package when the first
scenario is collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from harness.run.result import RunResult
    from harness.run.rig import Rig
    from harness.scenario import Scenario

__all__ = ["ScenarioFile", "ScenarioItem"]

HEAD_BYTES = 64 * 1024
"""How far into a file its first key is looked for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, as ``procnotify run`` has them."""
    group = parser.getgroup("procnotify", "procnotify scenarios")
    group.addoption(
        "--procnotify-machine", default="virtual", metavar="NAME", help="where the driver runs (virtual)"
    )
    group.addoption(
        "--procnotify-debugger",
        default="native",
        metavar="NAME",
        help="who listens: native, pykd, ntoseye (native)",
    )
    group.addoption(
        "--procnotify-driver", metavar="FILE.sys", help="the driver to test (default: the project's own)"
    )
    group.addoption(
        "--procnotify-seed", type=int, metavar="N", help="seed (default: the scenario's own, or 1)"
    )
    group.addoption(
        "--procnotify-trace-dir", default="traces", metavar="DIR", help="where the traces go (traces)"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file that was asked for."""
    if file_path.suffix != ".yaml" or not _asked_for(file_path, parent.config) or not _is_scenario(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Free the rig, if a scenario was run."""
    if (shared := config.stash.get(_SHARED, None)) is not None:
        shared.close()


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its one item; a scenario that is wrong is a collection error with file and line."""
        from harness.errors import ScenarioError
        from harness.scenario import load

        try:
            scenario = load(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        return [ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)]


class ScenarioItem(pytest.Item):
    """One run of a scenario."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self._result: RunResult | None = None

    def setup(self) -> None:
        """Run the scenario. What is not the driver's fault ends here, as an error."""
        from harness.errors import ProcnotifyError
        from harness.outcome import Outcome
        from harness.run.runner import run_scenario, seed_of

        shared = self.config.stash.setdefault(_SHARED, _SharedRig(self.config))
        seed = seed_of(self.scenario, self.config.getoption("--procnotify-seed"))
        try:
            self._result = result = run_scenario(shared.rig(), self.scenario, seed=seed)
        except ProcnotifyError as error:
            pytest.fail(str(error), pytrace=False)
        self.user_properties.append(("seed", seed))
        if result.trace is not None:
            self.user_properties.append(("trace", str(result.trace)))
        if result.outcome not in (Outcome.PASSED, Outcome.BROKEN, Outcome.BUGCHECK):
            _fail(result)

    def runtest(self) -> None:
        """Judge the driver."""
        from harness.outcome import Outcome

        assert self._result is not None
        if self._result.outcome is not Outcome.PASSED:
            _fail(self._result)

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """Where the item is written."""
        return self.path, 0, self.scenario.name


class _SharedRig:
    """The rig of the session, opened for the first scenario. If that fails, it fails the same way for all."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stack = ExitStack()
        self._rig: Rig | None = None
        self._failure: Exception | None = None

    def rig(self) -> Rig:
        from harness.errors import ProcnotifyError
        from harness.run.opening import open_rig

        if self._failure is not None:
            raise self._failure
        if self._rig is None:
            option = self._config.getoption
            driver = option("--procnotify-driver")
            opening = open_rig(
                machine=option("--procnotify-machine"),
                debugger=option("--procnotify-debugger"),
                driver=Path(driver) if driver is not None else None,
                trace_folder=Path(option("--procnotify-trace-dir")),
            )
            try:
                self._rig = self._stack.enter_context(opening)
            except ProcnotifyError as error:
                self._failure = error
                raise
        return self._rig

    def close(self) -> None:
        self._stack.close()


_SHARED = pytest.StashKey[_SharedRig]()


def _asked_for(path: Path, config: pytest.Config) -> bool:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    base = config.invocation_params.dir
    named = ((base / argument.partition("::")[0]).resolve() for argument in config.args)
    return any(path.resolve().is_relative_to(folder) for folder in named)


def _is_scenario(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for line in head.splitlines():
        if line.strip() and not line.startswith((b"#", b"---", b"%")):
            return line.startswith(b"scenario:")
    return False


def _fail(result: RunResult) -> NoReturn:
    """Fail with words alone: a traceback through the harness says nothing about the driver."""
    from harness.report.explanation import account_text
    from harness.report.text import printable

    pytest.fail(printable(account_text(result)), pytrace=False)
