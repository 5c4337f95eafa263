"""What Wine cannot do, by the names of the tests that show it: the one place for that, and it stays true.

Each is run and expected to fail, so that it is counted among the summary's ``xfailed`` with its reason; one
that passes is a failure. An entry that names no test is an error wherever its file is collected as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

__all__ = ["LIMITS", "Limit", "expect_limits"]


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
