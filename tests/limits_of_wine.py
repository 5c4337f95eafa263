"""What Wine cannot do, the one place for that: by the names of the tests that show it, and it stays true; and
what any test may meet with (:class:`LostStarts`).

Each is run and expected to fail, so that it is counted among the summary's ``xfailed`` with its reason; one
that passes is a failure. An entry that names no test is an error wherever its file is collected as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

__all__ = ["LIMITS", "LOST_START", "START_TRIES", "Limit", "LostStarts", "expect_limits"]


class Limit(NamedTuple):
    """One thing that is otherwise on Windows."""

    reason: str
    """What was seen, of which version of Wine."""
    runs: bool = True
    """Whether the test ends by itself; one that does not is left out, and could pass unnoticed."""


LIMITS: Final[Mapping[str, Limit]] = {
    "tests/test_held_files.py::test_a_build_gets_its_name_although_a_file_in_it_is_held": Limit(
        "a folder is renamed although another process has a file in it open and shares it with nobody (8.0)"
    ),
}
"""``FILE::TEST``, all its parameters, or ``FILE::TEST[PARAMETER]``; the file as seen from the checkout."""


def expect_limits(config: pytest.Config, items: Sequence[pytest.Item], limits: Mapping[str, Limit]) -> None:
    """Mark the tests that ``limits`` names.

    :raises pytest.UsageError: an entry names no test, although its file was collected as a whole.
    """
    named = set()
    for item in items:
        for name in {item.nodeid, item.nodeid.partition("[")[0]} & limits.keys():
            named.add(name)
            limit = limits[name]
            item.add_marker(pytest.mark.xfail(reason=f"Wine: {limit.reason}", strict=True, run=limit.runs))
    if any("::" in argument for argument in config.args):
        return
    files = {item.nodeid.partition("::")[0] for item in items}
    for name in limits.keys() - named:
        file = name.partition("::")[0]
        if file in files or not (config.rootpath / Path(file)).is_file():
            raise pytest.UsageError(f"{Path(__file__).name}: there is no test {name}; take the entry away")


LOST_START: Final = 1359
"""ERROR_INTERNAL_ERROR. What Wine's CreateProcess says where the new process has ended before it could say
that it is there, and has left no reason: seen once in thousands of starts, on a machine under load (8.0).
Windows has the process before CreateProcess returns, and does not say this.

Source: Wine, dlls/ntdll/unix/process.c, NtCreateUserProcess: STATUS_INTERNAL_ERROR.
"""
START_TRIES: Final = 3
"""So often at most is a process started that Wine loses."""


class LostStarts:
    """A plugin of pytest, for the processes that the tests themselves start: one that Wine has lost is
    started again, and the summary says how many there were."""

    _KEY = "lost_starts"

    def __init__(self) -> None:
        self.count = 0

    def mended(self, create: Callable[..., Any]) -> Callable[..., Any]:
        """``create``, which is ``_winapi.CreateProcess``, without that limit; all else that it raises is
        raised."""

        def create_process(*args: Any) -> Any:
            for left in reversed(range(START_TRIES)):
                try:
                    return create(*args)
                except OSError as error:
                    if getattr(error, "winerror", None) != LOST_START or not left:
                        raise
                    self.count += 1
            raise AssertionError("there is a first try")

        return create_process

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Of xdist's workers the others are told."""
        if (told := getattr(session.config, "workeroutput", None)) is not None:
            told[self._KEY] = self.count

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended; one that crashed has told nothing."""
        self.count += getattr(node, "workeroutput", {}).get(self._KEY, 0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Nothing is repeated in silence."""
        if self.count:
            lost = f"Wine lost {self.count} processes at their start (error {LOST_START})"
            terminalreporter.write_line(f"{lost}; they were started again")
