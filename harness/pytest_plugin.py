"""Scenarios as pytest items: ``pytest scenarios``.

A scenario file is collected where the command line names it or a folder above it, and only if its first key
is ``scenario``, so that other projects' YAML is left alone. A run happens in the item's set-up: a failed rig
is pytest's *error*, a broken promise or a bugcheck its *failure*.

This module is imported by every pytest of the environment; it imports the rest of the package when the first
scenario is collected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from harness.runs.result import RunResult
    from harness.runs.rig import Rig
    from harness.scenario import Scenario

__all__ = ["ScenarioFile", "ScenarioItem"]

_SUFFIXES = (".yaml", ".yml")
"""Those of :data:`harness.yamlfile.finding.SUFFIXES`, not imported for every file of other projects."""


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
        help="who listens: native, pykd, ntoseye, or none (native)",
    )
    group.addoption(
        "--procnotify-driver",
        action="append",
        default=[],
        metavar="FILE.sys",
        help="the driver to test (default: the project's own); of several the last, the others are loaded"
        " before it",
    )
    group.addoption(
        "--procnotify-seed",
        type=_at_least(0),
        metavar="N",
        help="seed of the virtual target (default: the scenario's own, or 1)",
    )
    group.addoption(
        "--procnotify-policy",
        metavar="NAME",
        help="who goes first in the virtual target where the order is open: default, random, urw,"
        " pct, pos"
        " (default: the scenario's own, or default)",
    )
    group.addoption(
        "--procnotify-processors",
        type=_at_least(1),
        metavar="N",
        help="how many the virtual target has, 1 to 8 (default: the scenario's own, or 2)",
    )
    group.addoption(
        "--procnotify-print-mask",
        action="append",
        default=[],
        metavar="MASK",
        help="which debug prints pass: 0xf, or COMPONENT=0xf (default: errors, as in Windows)",
    )
    group.addoption(
        "--procnotify-kdfiles",
        action="store_true",
        help="the target gets the drivers of its debugger (WinDbg's .kdfiles), and not from its own disk",
    )
    group.addoption(
        "--procnotify-lines",
        metavar="FILE",
        help="what the driver's lines look like, a line grammar (default: the scenario's own, or that of the"
        " project's driver)",
    )
    group.addoption(
        "--procnotify-repeat",
        type=_at_least(1),
        default=1,
        metavar="N",
        help="an item for each of N seeds: seed, seed+1, ... (1)",
    )
    group.addoption(
        "--procnotify-connection",
        metavar="K",
        help="where the debugger listens, as for WinDbg's -k (default: a free port on loopback)",
    )
    group.addoption(
        "--procnotify-timeout",
        type=float,
        metavar="SECONDS",
        help="a target that neither prints nor answers for this long is lost (10)",
    )
    group.addoption(
        "--procnotify-step-timeout",
        type=float,
        metavar="SECONDS",
        help="a driver that prints without end during one step hangs after this long (60)",
    )
    group.addoption(
        "--procnotify-strict",
        action="store_true",
        help="a promise that could not be judged is an error",
    )
    group.addoption(
        "--procnotify-witness",
        metavar="NAME",
        help="on whose events the order is checked: print, the driver's lines, target, what the virtual"
        " target saw of the callbacks that it called, or breakpoint, what the debugger saw, which stops at"
        " them (default: the lines where they report callbacks, else"
        " the target)",
    )
    group.addoption(
        "--procnotify-without-rule",
        action="append",
        default=[],
        metavar="NAME",
        help="do not hold the driver to this standing rule",
    )
    group.addoption(
        "--procnotify-trace-dir",
        default="traces",
        metavar="DIR",
        help="where the folder with this session's traces is made (traces)",
    )


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise ValueError(text)
        return value

    return number


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file that was asked for."""
    if file_path.suffix.lower() not in _SUFFIXES or not _asked_for(file_path, parent.config):
        return None
    from harness.runs.scenarios import is_scenario

    if not is_scenario(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where every test was a scenario of which nothing could be judged, nothing was tested."""
    results = session.config.stash.get(_RESULTS, [])
    skipped = sum(result.outcome.name == "SKIPPED" for result in results)
    if exitstatus == pytest.ExitCode.OK and skipped and skipped == session.testscollected:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What could not be judged, once for each scenario."""
    from harness.report.text import printable

    lines = [line for result in config.stash.get(_RESULTS, []) for line in result.not_judged_lines]
    if lines:
        terminalreporter.section("promises that were not judged")
        for line in dict.fromkeys(lines):
            terminalreporter.line(printable(line))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Free the rig, if a scenario was run."""
    if (shared := config.stash.get(_SHARED, None)) is not None:
        shared.close()


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each seed; a scenario that is wrong is a collection error with file and line."""
        from harness.errors import ScenarioError
        from harness.runs.runner import seed_of
        from harness.scenario import load

        try:
            scenario = load(self.path)
        except ScenarioError as error:
            raise self.CollectError("\n".join(map(str, error.mistakes))) from None
        option = self.config.getoption
        first, repeat = seed_of(scenario, option("--procnotify-seed")), option("--procnotify-repeat")
        return [
            ScenarioItem.from_parent(
                self,
                name=f"{scenario.name}[seed={seed}]" if repeat > 1 else scenario.name,
                scenario=scenario,
                seed=seed,
            )
            for seed in range(first, first + repeat)
        ]


class ScenarioItem(pytest.Item):
    """One run of a scenario."""

    def __init__(self, *, scenario: Scenario, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.seed = seed
        self._result: RunResult | None = None

    def setup(self) -> None:
        """Run the scenario. What is not the driver's fault ends here, as an error."""
        from harness.errors import ProcnotifyError
        from harness.internal import internal_error
        from harness.outcome import Outcome
        from harness.report.text import printable
        from harness.runs.runner import run_scenario
        from harness.standingrules import check_standing_rules

        shared = self.config.stash.setdefault(_SHARED, _SharedRig(self.config))
        try:
            rules_off = check_standing_rules(self.config.getoption("--procnotify-without-rule"))
            scenario = self.scenario.without_rules(rules_off)
            self._result = result = run_scenario(shared.rig(), scenario, seed=self.seed)
        except ProcnotifyError as error:
            pytest.fail(printable(str(error)), pytrace=False)
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is the rig's failure
            pytest.fail(printable(str(internal_error(error))), pytrace=False)
        self.user_properties.append(("seed", self.seed))
        if result.trace is not None:
            self.user_properties.append(("trace", printable(str(result.trace))))
        self.user_properties.append(("promises_held", result.held))
        self.user_properties.append(("promises_not_judged", result.not_judged))
        self.config.stash.setdefault(_RESULTS, []).append(result)
        if result.outcome in (Outcome.USAGE, Outcome.RIG):
            _fail(result)
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(printable(result.reason))

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
        from harness.grammars import load_grammar
        from harness.internal import internal_error
        from harness.runs.opening import open_rig
        from harness.runs.watch import Watch

        if self._failure is not None:
            raise self._failure
        if self._rig is None:
            option = self._config.getoption
            lines = option("--procnotify-lines")
            drivers = [Path(driver) for driver in option("--procnotify-driver")]
            given = {
                "silence": option("--procnotify-timeout"),
                "printing": option("--procnotify-step-timeout"),
            }
            opening = open_rig(
                machine=option("--procnotify-machine"),
                debugger=option("--procnotify-debugger"),
                driver=drivers[-1] if drivers else None,
                other_drivers=drivers[:-1],
                trace_folder=Path(option("--procnotify-trace-dir")),
                connection=option("--procnotify-connection"),
                watch=Watch(**{name: seconds for name, seconds in given.items() if seconds is not None}),
                policy=option("--procnotify-policy"),
                processors=option("--procnotify-processors"),
                print_masks=_print_masks(option("--procnotify-print-mask")),
                kdfiles=option("--procnotify-kdfiles"),
                lines=load_grammar(Path(lines)) if lines else None,
                strict=option("--procnotify-strict"),
                witness=option("--procnotify-witness"),
            )
            try:
                self._rig = self._stack.enter_context(opening)
            except ProcnotifyError as error:
                self._failure = error
                raise
            except Exception as error:
                self._failure = internal_error(error)
                raise self._failure from error
        return self._rig

    def close(self) -> None:
        self._stack.close()


def _print_masks(written: Iterable[str]) -> dict[str, int]:
    from harness.errors import UsageError
    from harness.printmasks import parse_print_mask

    try:
        return dict(map(parse_print_mask, written))
    except ValueError as error:
        raise UsageError(f"--procnotify-print-mask: {error}") from None


_SHARED = pytest.StashKey[_SharedRig]()
_RESULTS = pytest.StashKey[list["RunResult"]]()
"""Of the runs of this process."""


def _asked_for(path: Path, config: pytest.Config) -> bool:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    base = config.invocation_params.dir
    named = ((base / argument.partition("::")[0]).resolve() for argument in config.args)
    return any(path.resolve().is_relative_to(folder) for folder in named)


def _fail(result: RunResult) -> NoReturn:
    """Fail with words alone: a traceback through the harness says nothing about the driver."""
    from harness.report.explanation import account_text
    from harness.report.text import printable

    pytest.fail(printable(account_text(result)), pytrace=False)
