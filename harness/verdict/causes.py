"""What has one cause: failures whose reasons differ only in numbers and in the scenario they name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias, TypeVar

from harness.outcome import Outcome
from harness.verdict.judgedrun import JudgedRun

__all__ = ["Cause", "by_cause", "cause_of"]

Cause: TypeAlias = tuple[Outcome, str]
"""An outcome, and a reason without what changes from run to run."""

_Run = TypeVar("_Run", bound=JudgedRun)
_NUMBER = re.compile(r"\b(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?)\b")


def cause_of(result: JudgedRun) -> Cause:
    """The cause of a run that did not pass.

    A broken rule is one cause wherever it shows. Otherwise the reason counts, without its numbers (process
    IDs, addresses, lines) and without the names of the run's own files.
    """
    failures = result.check.failures if result.check is not None else ()
    if failures and failures[0].violation is not None:
        return result.outcome, failures[0].violation.rule
    reason = result.reason
    for own in (str(result.trace), str(result.path), result.path.name, result.scenario):
        reason = re.sub(rf"(?<![\w-]){re.escape(own)}(?![\w-])", "@", reason)
    return result.outcome, _NUMBER.sub("#", reason)


def by_cause(results: Iterable[_Run]) -> list[list[_Run]]:
    """The runs that failed, those of one cause together, in the order in which the causes came."""
    causes: dict[Cause, list[_Run]] = {}
    for result in results:
        if result.outcome.failed:
            causes.setdefault(cause_of(result), []).append(result)
    return list(causes.values())
