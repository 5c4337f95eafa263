"""The rig that all tests of one process share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.projectfile import ProjectFile
    from harness.runs.result import RunResult
    from harness.runs.rig import Rig
    from harness.scenario import Scenario

__all__ = ["SharedRig", "close_rig", "shared_rig"]


class SharedRig:
    """The rig of a session, opened for whoever wants it first. If that fails, it fails the same way for all.

    :param config: with the options.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stack = ExitStack()
        self._rig: Rig | None = None
        self._failure: Exception | None = None
        self._held_by = ""
        self._runs: dict[tuple[Path, int], RunResult] = {}

    @property
    def machine(self) -> str:
        """The name of the machine, or the path of its file.

        :raises ProjectFileError: the project's file is wrong.
        """
        named: str | None = self._config.getoption("--procnotify-machine")
        return named or (self._project.machine if self._project else None) or "virtual"

    @cached_property
    def _project(self) -> ProjectFile | None:
        from harness.projectfile import find_project_file

        return find_project_file(Path())

    @property
    def _drivers(self) -> list[Path]:
        """Those that are named, the one under test last; none where that is procnotify's own."""
        named = [Path(driver) for driver in self._config.getoption("--procnotify-driver")]
        return named or (list(self._project.drivers) if self._project else [])

    def rig(self) -> Rig:
        """The rig.

        :raises ProcnotifyError: it cannot be opened.
        """
        from harness.errors import ProcnotifyError
        from harness.internal import internal_error

        if self._failure is not None:
            raise self._failure
        if self._rig is None:
            try:
                self._rig = self._open()
            except ProcnotifyError as error:
                self._failure = error
                raise
            except Exception as error:
                self._failure = internal_error(error)
                raise self._failure from error
        return self._rig

    def rig_of_a_driver(self) -> Rig:
        """The rig, for a test that is written for a driver of its own.

        :raises UsageError: nobody said which driver that is.
        """
        from harness.errors import UsageError

        if not self._drivers:
            raise UsageError(
                "there is no driver to test",
                hint="name it in the project's procnotify.toml, or give --procnotify-driver FILE.sys",
            )
        return self.rig()

    def run(self, rig: Rig, scenario: Scenario, seed: int | None) -> RunResult:
        """One run of ``scenario``; a seed of None is that of the options, or the scenario's own.

        :raises UsageError: the scenario or the driver is wrong, or a test holds the machine.
        """
        from harness.errors import UsageError
        from harness.runs.runner import run_scenario
        from harness.standingrules import check_standing_rules

        if self._held_by:
            raise UsageError(
                f"{self._held_by} holds the machine, so nothing else can run on it",
                hint="use `debugger` in a test of its own",
            )
        rules_off = check_standing_rules(self._config.getoption("--procnotify-without-rule"))
        return run_scenario(rig, scenario.without_rules(rules_off), seed=self._seed(scenario, seed))

    def remembered_run(self, rig: Rig, scenario: Scenario, seed: int | None) -> RunResult:
        """The same, done once for all tests that ask for the scenario of that file with this seed; where the
        rig failed the next one tries again."""
        from harness.outcome import Outcome

        key = (scenario.path, self._seed(scenario, seed))
        result = self._runs.get(key)
        if result is None:
            result = self.run(rig, scenario, seed)
            if result.outcome is not Outcome.RIG:
                self._runs[key] = result
        return result

    def _seed(self, scenario: Scenario, seed: int | None) -> int:
        from harness.runs.runner import seed_of

        return seed_of(scenario, self._config.getoption("--procnotify-seed") if seed is None else seed)

    @contextmanager
    def held(self, who: str) -> Iterator[None]:
        """Meanwhile the machine is used by hand, and nothing is run on it.

        :param who: the test, for the error of whoever wants to.
        """
        self._held_by = who
        try:
            yield
        finally:
            self._held_by = ""

    def close(self) -> None:
        """Free the rig, where there is one."""
        self._stack.close()

    def _open(self) -> Rig:
        from harness.grammars import load_grammar
        from harness.runs.opening import open_rig
        from harness.runs.watch import Watch

        option, project, drivers = self._config.getoption, self._project, self._drivers
        lines = option("--procnotify-lines") or (project.lines if project else None)
        debugger = option("--procnotify-debugger") or (project.debugger if project else None)
        traces = option("--procnotify-trace-dir") or (project.trace_dir if project else None)
        given = {
            "silence": option("--procnotify-timeout"),
            "printing": option("--procnotify-step-timeout"),
        }
        return self._stack.enter_context(
            open_rig(
                machine=self.machine,
                debugger=debugger or "native",
                driver=drivers[-1] if drivers else None,
                other_drivers=drivers[:-1],
                trace_folder=Path(traces or "traces"),
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
        )


_SHARED = pytest.StashKey[SharedRig]()


def shared_rig(config: pytest.Config) -> SharedRig:
    """The rig of this session."""
    return config.stash.setdefault(_SHARED, SharedRig(config))


def close_rig(config: pytest.Config) -> None:
    """Free the session's rig, where a test used it."""
    if (shared := config.stash.get(_SHARED, None)) is not None:
        shared.close()


def _print_masks(written: Iterable[str]) -> dict[str, int]:
    from harness.errors import UsageError
    from harness.printmasks import parse_print_mask

    try:
        return dict(map(parse_print_mask, written))
    except ValueError as error:
        raise UsageError(f"--procnotify-print-mask: {error}") from None
