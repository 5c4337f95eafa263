"""Where in a scenario's file a run says something: the line of the promise or of the step."""

from __future__ import annotations

import re
from pathlib import Path

from harness.order import CheckResult
from harness.order.result import Place
from harness.runs.result import RunResult

__all__ = ["place_in", "place_of"]


def place_of(result: RunResult) -> Place:
    """The line of what the run's reason is about, see :func:`place_in`."""
    return place_in(result.path, result.reason, result.check)


def place_in(path: Path, reason: str, check: CheckResult | None) -> Place:
    """The line of the scenario's file that a reason is about; the first line where that is no line of it.

    A lifecycle rule, a bugcheck and a lost link stand on no line.
    """
    # A step that failed is told of in words alone, with the place before them.
    step = re.match(rf"{re.escape(str(path))}:([0-9]{{1,9}}): ", reason)
    if step is not None:
        return Place(path, max(1, int(step[1])))
    if check is not None and check.failures and check.failures[0].place is not None:
        return check.failures[0].place
    if check is not None and check.unjudged and not check.failures:
        return check.unjudged[0].place
    return Place(path, 1)
