"""What a run means to pytest: an error, a failure or a skip, at the line of the scenario that it is about."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.order.result import Unobserved
    from harness.runs.result import RunResult

__all__ = [
    "NoVerdict",
    "describe_run",
    "is_no_verdict",
    "line_of",
    "no_verdict_instead",
    "not_judged_promises",
    "told",
]


class NoVerdict(pytest.fail.Exception):  # type: ignore[misc,name-defined]  # an attribute of a function
    """Nothing can be said about the driver: the rig failed, or what was asked for is wrong. To pytest that is
    an error of the test, wherever in it that was found out."""

    __module__ = "builtins"  # as of pytest's own: summaries would show the module in place of the reason


@contextmanager
def no_verdict_instead() -> Iterator[None]:
    """What goes wrong in the block, and is not the driver's fault, becomes :class:`NoVerdict`."""
    from harness.errors import ProcnotifyError
    from harness.internal import internal_error
    from harness.report.text import printable

    try:
        yield
    except ProcnotifyError as error:
        raise NoVerdict(printable(str(error)), pytrace=False) from None
    except Exception as error:  # noqa: BLE001  # what nobody foresaw is the rig's failure
        raise NoVerdict(printable(str(internal_error(error))), pytrace=False) from None


def is_no_verdict(error: BaseException) -> bool:
    """Whether this says nothing about the driver. What was never imported cannot have been raised."""
    errors = sys.modules.get("harness.errors")
    return isinstance(error, NoVerdict) or (
        errors is not None and isinstance(error, errors.RigError | errors.UsageError)
    )


def told(result: RunResult) -> str:
    """The account of a run that did not pass: words alone, for a traceback through the harness says nothing
    about the driver."""
    from harness.report.explanation import account_text
    from harness.report.text import printable

    return printable(account_text(result))


def describe_run(item: pytest.Item, result: RunResult) -> None:
    """Let the reports of ``item`` have what is to be known of the run: in JUnit XML, its properties."""
    from harness.report.text import printable

    item.user_properties.append(("seed", result.seed))
    if result.trace is not None:
        item.user_properties.append(("trace", printable(str(result.trace))))
    item.user_properties.append(("promises_held", result.held))
    item.user_properties.append(("promises_not_judged", result.not_judged))


def line_of(result: RunResult, default: int) -> int:
    """The line of the scenario's file that the outcome is about.

    :param default: where it is about none: all held, or a lifecycle rule was broken.
    """
    from harness.outcome import Outcome
    from harness.report.place import place_of

    if result.outcome is Outcome.SKIPPED:
        return next((line for line, _ in not_judged_promises(result)), default)
    place = place_of(result)
    return place.line if result.outcome.failed and place.line > 1 else default


def not_judged_promises(result: RunResult) -> list[tuple[int, str]]:
    """Promises of the scenario that could not be judged: a line of its file, and what and why, once a reason.
    The lifecycle rules are none of them."""
    from harness.order.notjudged import not_judged_lines

    alike: dict[tuple[str, str], list[Unobserved]] = {}
    for said in () if result.check is None else result.check.unobserved:
        if said.line is not None:
            alike.setdefault((said.what, said.why), []).append(said)
    return [
        (min(said.line or 1 for said in group), text)
        for group in alike.values()
        for text in not_judged_lines(group, result.path.name)
    ]
