"""The summary of runs in Markdown, as CI services show it: a table of the scenarios, and each cause once."""

from __future__ import annotations

import html
import string
from collections.abc import Iterator, Sequence

from harness.report.explanation import account_text
from harness.report.frequency import causes_and_frequencies
from harness.report.text import one_line, printable, shortened
from harness.report.totals import ScenarioRow, scenario_rows, totals_words
from harness.runs.result import RunResult

__all__ = ["ACCOUNT_LENGTH", "NAME_LENGTH", "SUMMARY_BYTES", "TABLE_ROWS", "summary_markdown"]

SUMMARY_BYTES = 1024 * 1024
"""Bytes of the summary of one step, all that was written into it together; GitHub drops what is larger."""
TABLE_ROWS = 500
"""Scenarios in the table at most; those that did not pass come first."""
NAME_LENGTH = 200
"""Characters of a name at most."""
ACCOUNT_LENGTH = 8000
"""Characters of what is told about a cause, at most."""

_HEAD = "| scenario | result | runs | passed | held | not judged | seconds | events |\n"
_HEAD += "|---|---|--:|--:|--:|--:|--:|--:|\n"
_CUT = "\nThe log has the rest: there is no room for it here.\n"
_ENTITIES = str.maketrans({character: f"&#{ord(character)};" for character in string.punctuation})
"""A character written as its number is text to Markdown and HTML alike, never markup."""


def summary_markdown(results: Sequence[RunResult], *, limit: int = SUMMARY_BYTES) -> str:
    """The results as Markdown of ``limit`` bytes of UTF-8 at most, whole blocks of it; empty where not even
    that something is left out has room.

    What a target or a file named stands in it as text, whatever it is.
    """
    room = limit - len(_CUT)
    blocks: list[str] = []
    for block in _blocks(results):
        room -= len(block.encode())
        if room < 0:
            blocks.append(_CUT)
            break
        blocks.append(block)
    return "".join(blocks) if limit >= len(_CUT) else ""


def _blocks(results: Sequence[RunResult]) -> Iterator[str]:
    rows = sorted(scenario_rows(results), key=lambda row: not row.outcome.failed)
    yield f"## procnotify: {totals_words(results)}\n\n{_HEAD}"
    yield from map(_row, rows[:TABLE_ROWS])
    if len(rows) > TABLE_ROWS:
        yield f"\nand {len(rows) - TABLE_ROWS} more scenarios\n"
    for alike, often in causes_and_frequencies(results):
        yield _cause(alike[0], often)


def _row(row: ScenarioRow) -> str:
    cells = (
        _code(row.scenario),
        f"**{row.outcome.words}**" if row.outcome.failed else row.outcome.words,
        *(str(row.runs), str(row.passed), row.held, row.not_judged, f"{row.seconds:.2f}", str(row.events)),
    )
    return f"| {' | '.join(cells)} |\n"


def _cause(first: RunResult, often: str) -> str:
    account = html.escape(printable(shortened(account_text(first, often), ACCOUNT_LENGTH)))
    heading = f"### {first.outcome.words}: {_code(first.scenario)}, seed {first.seed}"
    return f"\n{heading}\n\n{_code(str(first.path))}\n\n<pre>\n{account}\n</pre>\n"


def _code(name: str) -> str:
    return f"<code>{one_line(shortened(name, NAME_LENGTH)).translate(_ENTITIES)}</code>"
