"""A fault matrix as a table, and as values that JSON has (``docs/json.md``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.outcome import Outcome
from harness.runs.failingcalls import FailedCall, FaultMatrix
from harness.toolchain.windows_errors import ntstatus_words

__all__ = ["matrix_as_json", "matrix_lines"]

_HEAD = ("came of it", "call", "in", "at")


def matrix_lines(matrix: FaultMatrix) -> Iterator[str]:
    """A row for each call that failed, with what followed below those that the driver does not survive.

    The lines hold what the target printed: hand them to :func:`harness.report.text.printable`.
    """
    if matrix.unharmed.outcome is not Outcome.PASSED:
        rig = matrix.unharmed.outcome is Outcome.RIG
        what = "the run without a failure cannot be judged" if rig else "the driver is at fault already"
        yield f"{matrix.scenario} (seed {matrix.seed}): no call failed, and {what}:"
        yield from (f"    {line}" for line in matrix.unharmed.followed)
        return
    rows = [_HEAD, *(_cells(call) for call in matrix.calls)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    yield f"{matrix.scenario} (seed {matrix.seed}): {_totals(matrix)}"
    for row, call in zip(rows, (None, *matrix.calls), strict=True):
        yield "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]))
        if call is not None and call.outcome is not Outcome.PASSED:
            yield from (f"    {line}" for line in call.followed)
    if matrix.beyond:
        yield f"{matrix.beyond} calls at further places: there are more than are tried"
    if matrix.interrupted:
        yield "interrupted: the calls that are not listed did not fail"


def matrix_as_json(matrix: FaultMatrix) -> dict[str, object]:
    """The matrix; its runs in their order."""
    return {
        "scenario": matrix.scenario,
        "seed": matrix.seed,
        "exit_code": int(matrix.outcome),
        "outcome": matrix.outcome.words,
        "unharmed": list(matrix.unharmed.followed),
        "calls": [_call_as_json(call) for call in matrix.calls],
        "places_beyond": matrix.beyond,
        "interrupted": matrix.interrupted,
    }


def _totals(matrix: FaultMatrix) -> str:
    if not matrix.calls:
        return "the driver calls nothing that may fail"
    counts = Counter(call.happened.value for call in matrix.calls)
    words = ", ".join(f"{happened} in {count}" for happened, count in counts.items())
    number = len(matrix.calls)
    return f"{number} call{'s'[: number != 1]} failed, one in each run; the driver {words}"


def _cells(call: FailedCall) -> tuple[str, str, str, str]:
    assert call.place is not None
    return call.happened.value, call.place.routine, call.place.during, call.site


def _call_as_json(call: FailedCall) -> dict[str, object]:
    assert call.place is not None
    return {
        "routine": call.place.routine,
        "during": call.place.during,
        "site": call.site,
        "returned": None if call.result is None else _returned(call.result),
        "happened": call.happened.value,
        "exit_code": int(call.outcome),
        "followed": list(call.followed),
    }


def _returned(result: int) -> str:
    return ntstatus_words(result) if result else "NULL"
