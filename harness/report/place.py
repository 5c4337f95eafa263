"""Where in a scenario's file a run says something: the line of the promise or of the step."""

from __future__ import annotations

import re
from pathlib import Path

from harness.order.result import Place
from harness.verdict.judgedrun import JudgedRun

__all__ = ["place_named_in", "place_of"]


def place_of(result: JudgedRun) -> Place:
    """The line of the scenario's file that the run's reason is about; the first line where that is no line of
    it.

    A lifecycle rule, a bugcheck and a lost link stand on no line.
    """
    named, check = place_named_in(result.reason, result.path), result.check
    if named is not None:
        return named
    if check is not None and check.failures and check.failures[0].place is not None:
        return check.failures[0].place
    if check is not None and check.unjudged and not check.failures:
        return check.unjudged[0].place
    return Place(result.path, 1)


def place_named_in(reason: str, path: Path) -> Place | None:
    """The line of a file with which a reason begins, as that of a step that failed does; None: with none."""
    found = re.match(rf"{re.escape(str(path))}:([0-9]{{1,9}}): ", reason)
    return None if found is None else Place(path, max(1, int(found[1])))
