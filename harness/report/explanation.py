"""The text of a check's result: what broke, where, and the trace around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.events import Event, RuleBroken, kind_of
from harness.order.patterns import show
from harness.order.result import (
    MAX_ROWS,
    Awaited,
    CheckResult,
    Explanation,
    Failure,
    LaneRow,
    Mark,
    PromiseStatus,
    Status,
)
from harness.report.marks import MARKS
from harness.report.text import one_line, shortened
from harness.scenario.rules import RULES
from harness.standingrules import STANDING_RULES
from harness.verdict.judgedrun import JudgedRun

__all__ = [
    "ACCOUNT_LINES",
    "account_text",
    "broken_rules_text",
    "event_words",
    "explanation_text",
    "rule_lines",
]

_WIDTH = 200
"""Characters of a line shown."""
_SENTENCE_LENGTH = 600
"""Characters of a contradiction at most; an image's name may be as long as the target likes."""
_NAME_LENGTH = 100
"""Characters of the name of a function at most."""
_OTHERS = 3
"""Patterns named besides the first that could have come."""
_BESIDES = 1
"""Lines of what is not judged and of notes told of a run with a broken promise; its trace tells the rest."""
_FEWEST_ROWS = 2
"""Events shown of a failure, however much else there is to say."""
_BESIDE = frozenset({"index", "line", "witness", "call"})
"""Fields that are not shown of an event without a line."""
ACCOUNT_LINES = 12
"""Lines of the account of a run at most, as far as it is about one broken promise."""


def explanation_text(result: CheckResult, told: str = "") -> str:
    """Everything that did not hold or was not judged, each with its reason and at length.

    The text holds what the target printed: hand it to :func:`harness.report.text.printable` before it is
    shown.

    :param told: the line that is shown before it; a reason or a way out that stands there is not repeated.
    """
    said = [(failure.reason, "\n".join(_failure_lines(failure))) for failure in result.failures]
    said += [(unjudged.reason, f"  {unjudged.hint}") for unjudged in result.unjudged]
    texts = ("\n".join(part for part in parts if part.strip() not in told) for parts in said)
    return "\n\n".join(text for text in texts if text)


def broken_rules_text(broken: Iterable[RuleBroken], told: str = "") -> str:
    """The standing rules that drivers broke, at length; a rule is explained once.

    :param told: the line that is shown before it; what stands there is not repeated.
    """
    lines: list[str] = []
    explained: set[str] = set()
    for one in broken:
        if one.message not in told:
            lines.append(f"  {one.rule}: {one.message}")
        rule = STANDING_RULES.get(one.rule)
        if rule is not None and rule.name not in explained:
            explained.add(rule.name)
            lines += [
                f"    {rule.sentence}",
                f"    source: {rule.source}",
                f"    switch it off with: rules: {{off: [{rule.name}]}}, or --without-rule {rule.name}",
            ]
    return "\n".join(lines)


def account_text(result: JudgedRun, often: str = "") -> str:
    """Everything to be said about a run that did not pass, in lines; of what broke its first promise at most
    :data:`ACCOUNT_LINES`.

    :param often: in how many runs it came, in a line.
    """
    broken = broken_rules_text(result.broken_rules, result.reason)
    besides = [*result.not_judged_lines, *result.notes]
    left_out = len(besides) - _BESIDES
    if result.check is not None and result.check.failures and left_out > 1:
        besides = [*besides[:_BESIDES], f"and {left_out} more lines, which `procnotify check` says"]
    trace = "" if result.trace is None else f"trace: {result.trace}"
    after = [line for line in (often, *besides, result.left, trace) if line]
    explained = "" if result.check is None else _brief(result.check, result.reason, len(after))
    return "\n".join(line for line in (result.reason, explained, broken, *after) if line)


def _brief(check: CheckResult, reason: str, beside: int) -> str:
    """The first failure that the reason is about at length, every other one in a line."""
    if not check.failures:
        return explanation_text(check, reason)
    first = next((failure for failure in check.failures if failure.reason in reason), check.failures[0])
    others = [failure.reason for failure in check.failures if failure is not first]
    others += [unjudged.reason for unjudged in check.unjudged]
    told = [] if first.reason in reason else [first.reason]
    rest = f" (and {len(others) - 1} more broken or not judged)" if len(others) > 1 else ""
    more = [f"also: {others[0]}{rest}"] if others else []
    besides = len(_failure_lines(first, 0))
    room = ACCOUNT_LINES - 1 - len(told) - len(more) - beside - besides
    rows = max(_FEWEST_ROWS, min(room, MAX_ROWS))
    return "\n".join([*told, *_failure_lines(first, rows), *more])


def _failure_lines(failure: Failure, rows: int = MAX_ROWS) -> list[str]:
    """Why a promise was broken, without the reason: a line for the contradiction, one an event that matters,
    one for what became of the promises, one for what does not matter.

    :param rows: events shown at most; those that stand for lines of the scenario are left out first.
    """
    said = failure.explanation
    where = f"in {one_line(shortened(said.callback, _NAME_LENGTH))}: " if said.callback else ""
    lines = [f"  {where}{one_line(shortened(said.contradiction, _SENTENCE_LENGTH))}"]
    if failure.violation is not None:
        lines += [f"  {line}" for line in rule_lines(failure.violation.rule)]
    lines += _also_awaited(said.awaited)
    shown = _shown(said.rows, rows)
    lines += _rows(said, shown)
    folded = said.folded_after + sum(row.folded for row in said.rows) + len(said.rows) - len(shown)
    lines += _statuses(said.promises, folded)
    if said.irrelevant:
        lines.append(f"  does not matter: {'; '.join(said.irrelevant)}")
    if said.unproved:
        lines.append(f"  no proof that can be checked was made: {said.unproved}")
    return lines


def rule_lines(name: str) -> list[str]:
    """Where a lifecycle rule comes from, and how it is switched off."""
    return [f"source: {RULES[name].source}", f"switch it off with: lifecycle: {{off: [{name}]}}"]


def _also_awaited(others: Sequence[Awaited]) -> list[str]:
    """What else could have come."""
    if not others:
        return []
    named = "; ".join(f"line {awaited.line}, {awaited.words}" for awaited in others[:_OTHERS])
    more = f"; and {len(others) - _OTHERS} more" if len(others) > _OTHERS else ""
    return [f"  also waited for: {named}{more}"]


def _shown(rows: Sequence[LaneRow], most: int) -> list[LaneRow]:
    """The rows that say most, in the order of the trace."""
    by_weight = sorted(rows, key=lambda row: (row.mark is Mark.CLAIMED, -row.event.index))
    return sorted(by_weight[:most], key=lambda row: row.event.index)


def _rows(said: Explanation, shown: Sequence[LaneRow]) -> Iterator[str]:
    """A line an event: how many were folded before it, its number, its process, what it is, its line."""
    words = [_row_words(row) for row in shown]
    width = max(map(len, words), default=0)
    following = shown[0].event.index - _folded_before(said.rows, shown[0]) if shown else 0
    for row, what in zip(shown, words, strict=True):
        event = row.event
        folded = event.index - following
        following = event.index + 1
        pid = said.lanes[row.lane].pid
        text = one_line(event.line or event_words(event))
        cut = "..." if len(text) > _WIDTH else ""
        before = f"+{folded}" if folded else ""
        place = f"{before:>6} {event.index:>6}  {'' if pid is None else pid:>6}"
        yield f"  {place}  {what:<{width}}  {text[:_WIDTH]}{cut}"


def _folded_before(rows: Sequence[LaneRow], first: LaneRow) -> int:
    """Events between the beginning and the first row that is shown."""
    folded = 0
    for row in rows:
        folded += row.folded
        if row is first:
            break
        folded += 1
    return folded


def _row_words(row: LaneRow) -> str:
    """What an event is to the explanation."""
    line = "it" if row.line is None else f"line {row.line}"
    return MARKS[row.mark].with_line.format(line=line)


def _statuses(promises: Sequence[PromiseStatus], folded: int) -> Iterator[str]:
    """What became of the promises, those alike together, and how many events are not shown."""
    lines: dict[Status, list[int]] = {}
    for promise in promises:
        lines.setdefault(promise.status, []).append(promise.line)
    said = ", ".join(f"{_line_words(of)} {status.value}" for status, of in lines.items())
    events = f"{folded} event{'s' * (folded != 1)} folded (+)" if folded else ""
    if said or events:
        yield f"  {'; '.join(part for part in (said, events) if part)}"


def _line_words(lines: Sequence[int]) -> str:
    """``line 7``, ``lines 7-9, 12``."""
    spans: list[list[int]] = []
    for line in sorted(set(lines)):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    words = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return f"line{'s' * (len(spans) > 1 or spans[0][0] != spans[0][1])} {words}"


def event_words(event: Event) -> str:
    """An event that has no line, as one: its kind and its fields."""
    own = [name for name in event.__struct_fields__ if name not in _BESIDE]
    values = [(name, getattr(event, name)) for name in own]
    return f"{kind_of(event)} " + " ".join(f"{n}={show(n, v)}" for n, v in values if v is not None)
