"""``--fail-calls`` of ``procnotify run`` and ``try``: each call of a driver that may fail fails once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import click

from harness.callplaces import CallPlace
from harness.cli import INTERRUPTED
from harness.cli._options import given_beside, print_json
from harness.errors import UsageError
from harness.outcome import worst
from harness.report.faultmatrix import matrix_as_json, matrix_lines
from harness.report.text import printable
from harness.runs.failingcalls import FaultMatrix, fail_each_call
from harness.runs.opening import NO_DEBUGGER
from harness.runs.rig import Rig
from harness.runs.runner import seed_of
from harness.scenario import Scenario

__all__ = ["fail_calls", "fail_calls_option", "refuse_beside_fail_calls"]

fail_calls_option = click.option(
    "--fail-calls",
    is_flag=True,
    help="Let each call of the driver that may fail fail once, in a run of its own, and judge what the driver"
    " does to the target then (docs/verdicts.md).",
)
_TAKEN: Final = frozenset(
    {"fail_calls", "paths", "machine", "debugger", "drivers", "seed", "policy", "processors", "print_masks"}
    | {"lines", "rules_off", "timeout", "step_timeout", "as_json"}
)
"""What can be said of ``run`` beside it."""


def refuse_beside_fail_calls(debugger: str) -> None:
    """Of the command that runs now.

    :raises UsageError: an option that means nothing with ``--fail-calls``.
    """
    other = given_beside(_TAKEN)
    if other is not None:
        raise UsageError(
            f"--fail-calls runs each scenario with one seed and keeps no traces: {other} has no meaning"
            " beside it",
            hint="leave out the one or the other",
        )
    if debugger != NO_DEBUGGER:
        raise UsageError(
            f"--fail-calls has no use for the debugger {debugger}", hint=f"add --debugger {NO_DEBUGGER}"
        )


def fail_calls(rig: Rig, scenarios: Iterable[Scenario], seed: int | None, *, as_json: bool) -> int:
    """Do that with each scenario, and show what came of it; the exit code."""
    matrices: list[FaultMatrix] = []
    for scenario in scenarios:
        matrices.append(fail_each_call(rig, scenario, seed_of(scenario, seed), begins=_tell))
        for line in matrix_lines(matrices[-1]):
            click.echo(printable(line), err=as_json)
        if matrices[-1].interrupted:
            break
    code = _code(matrices)
    if as_json:
        print_json(exit_code=code, matrices=[matrix_as_json(matrix) for matrix in matrices])
    return code


def _tell(number: int, of: int, place: CallPlace) -> None:
    click.echo(printable(f"procnotify: call {number} of {of}: {place.routine} in {place.during}"), err=True)


def _code(matrices: Sequence[FaultMatrix]) -> int:
    if any(matrix.interrupted for matrix in matrices):
        return INTERRUPTED
    return int(worst(matrix.outcome for matrix in matrices))
