"""What differs between two sets of instances, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from harness.mining.changes import Change, Changes
from harness.mining.statistics import instances_needed
from harness.report.mining.words import count_of
from harness.report.text import one_line

__all__ = ["changes_lines", "changes_markdown"]

_SHOWN = 100
"""Changes that a comment shows."""


def changes_lines(found: Changes) -> Iterator[str]:
    """A line each; names of images are a target's text."""
    for each in found.found:
        yield _sentence(each, found)
    yield _totals(found)
    if not found.able:
        yield _unable(found)
    if found.unproved:
        orders = sum(each.b is not None for each in found.unproved)
        yield (
            f"{count_of(len(found.unproved), 'difference')} ({orders:,} of order) without exception in"
            f" either set, but of too few instances to be proved:"
        )
        for each in found.unproved[:_SHOWN]:
            yield f"  {_sentence(each, found)}"
        if len(found.unproved) > _SHOWN:
            yield f"  and {len(found.unproved) - _SHOWN:,} more (--json has all)"


def _totals(found: Changes) -> str:
    number = count_of(len(found.found), "difference")
    return (
        f"{number} in {count_of(found.compared, 'comparison')} of {found.first:,} with"
        f" {count_of(found.second, 'instance')}, at level {found.level:g} for all of them together"
    )


def _unable(found: Changes) -> str:
    needed = instances_needed(found.level)
    return (
        f"nothing can be proved with {found.first:,} and {found.second:,} instances at level {found.level:g}:"
        f" even what is so in all of the one and in none of the other takes {needed} and {needed}"
    )


def _sentence(each: Change, found: Changes) -> str:
    table = each.table
    words = each.kind.replace("_", " ")
    chance = f"(p {each.p:.1g})"
    if each.b is None:
        first, second = f"{table.first:,} of {found.first:,}", f"{table.second:,} of {found.second:,}"
        return f"{words}: {each.a} in {first}, now in {second} {chance}"
    first = f"{table.first:,} before, {table.first_not:,} after"
    second = f"{table.second:,} before, {table.second_not:,} after"
    return f"{words}: {each.a} and {each.b}: {first}; now {second} {chance}"


def changes_markdown(found: Changes, first: str, second: str) -> str:
    """For a pull request's comment.

    :param first: what the first set is called; ``second`` likewise.
    """
    lines = ["### Order of callbacks", ""]
    lines.append(f"{_code(first)} ({found.first:,} instances) against {_code(second)} ({found.second:,})")
    lines.append("")
    if not found.able:
        lines.append(_unable(found))
    elif not found.found:
        lines.append(f"No difference in {count_of(found.compared, 'comparison')} (level {found.level:g}).")
    else:
        lines += ["| | what | before | now | p |", "|---|---|---|---|---|"]
        lines += map(_row, found.found[:_SHOWN])
        if len(found.found) > _SHOWN:
            lines += ["", f"And {len(found.found) - _SHOWN:,} more."]
        lines += ["", f"{_totals(found)}."]
    if found.unproved:
        lines += [
            "",
            f"{count_of(len(found.unproved), 'difference')} more cannot be proved with so few instances.",
        ]
    return "\n".join(lines) + "\n"


def _row(each: Change) -> str:
    table = each.table
    kind, p = each.kind.replace("_", " "), f"{each.p:.1g}"
    if each.b is None:
        return f"| {kind} | {_code(str(each.a))} | {table.first:,} | {table.second:,} | {p} |"
    what = f"{_code(str(each.a))} before {_code(str(each.b))}"
    first, second = table.first + table.first_not, table.second + table.second_not
    return f"| {kind} | {what} | {table.first:,} of {first:,} | {table.second:,} of {second:,} | {p} |"


def _code(text: str) -> str:
    """Text that Markdown takes as it is, in a table too: no mark-up of its own, no mention, no link."""
    harmless = one_line(text).replace("`", "'").replace("|", "\\|")
    return f"`{harmless}`"
