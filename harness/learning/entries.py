"""The lines that a callback prints become entries of a grammar: a form, or a record of several lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.events import KINDS
from harness.learning.forms import LearntForm, needed_fields

__all__ = ["GrammarEntry", "GroupLines", "entries_of"]


@dataclass(eq=False)
class GrammarEntry:
    """One form of the grammar."""

    head: LearntForm
    then: list[tuple[LearntForm, bool]] = field(default_factory=list)
    """The further lines of its record, and whether they come in some calls only."""

    @property
    def fields(self) -> frozenset[str]:
        """The event's fields that it always gives."""
        return self.head.fields.union(*(form.fields for form, optional in self.then if not optional))

    @property
    def whole(self) -> bool:
        """It gives every field without which there is no such event."""
        return needed_fields(KINDS[self.head.kind]) <= self.fields


class GroupLines(NamedTuple):
    """What the calls of one kind to one routine printed."""

    kind: str
    calls: Sequence[tuple[LearntForm, ...]]
    """The forms of each call's lines, in their order; of calls that printed nothing, none."""


class GroupEntries(NamedTuple):
    """What became of a group's lines."""

    entries: list[GrammarEntry]
    silent: list[LearntForm]
    """Forms of lines that say nothing which the entries do not say."""
    unread: dict[LearntForm, str]
    """Forms of lines that begin no entry, and why."""


def entries_of(group: GroupLines, foreign: Sequence[LearntForm]) -> GroupEntries:
    """The entries for a group's lines.

    :param foreign: the forms of what else the driver prints: a line that has one of their shapes and literal
        text does not tell which kind it is.
    """
    calls = [call for call in group.calls if call]
    solo = _single(calls, foreign)
    if solo is not None:
        return solo
    return _records(group.kind, calls, foreign)


def _single(calls: Sequence[tuple[LearntForm, ...]], foreign: Sequence[LearntForm]) -> GroupEntries | None:
    """Where in each call one line says all that any of them says, that line is the event."""
    chosen: dict[LearntForm, None] = {}
    silent: dict[LearntForm, None] = {}
    for call in calls:
        whole = [form for form in call if GrammarEntry(form).whole and not _is_foreign(form, foreign)]
        if not whole or any(form.fields - whole[0].fields for form in call):
            return None
        if len(whole) > 1:
            return None
        chosen[whole[0]] = None
        silent |= {form: None for form in call if form is not whole[0]}
    if any(form in chosen for form in silent):
        return None
    return GroupEntries([GrammarEntry(form) for form in chosen], list(silent), {})


def _records(
    kind: str, calls: Sequence[tuple[LearntForm, ...]], foreign: Sequence[LearntForm]
) -> GroupEntries:
    entries: list[GrammarEntry] = []
    unread: dict[LearntForm, str] = {}
    heads: dict[LearntForm, list[tuple[LearntForm, ...]]] = {}
    for call in calls:
        heads.setdefault(call[0], []).append(call)
    for head, alike in heads.items():
        entry = GrammarEntry(head)
        then = {form: None for call in alike for form in call[1:]}
        entry.then = [(form, not all(form in call for call in alike)) for form in then]
        given = [name for form in (head, *then) for name in form.fields]
        reason = ""
        if not entry.whole:
            missing = ", ".join(sorted(needed_fields(KINDS[kind]) - entry.fields))
            reason = f"no part of it is known to be {missing}"
        elif any(len(set(call)) < len(call) for call in alike):
            reason = "a call prints the same line twice"
        elif len(set(given)) < len(given):
            reason = "several lines of a call give the same field"
        elif _is_foreign(head, foreign):
            reason = "other lines of the driver look the same"
        if reason:
            unread[head] = reason
        else:
            entries.append(entry)
    return GroupEntries(entries, [], unread)


def _is_foreign(form: LearntForm, foreign: Sequence[LearntForm]) -> bool:
    """Whether lines of another form cannot be told from this one's."""
    return any(_alike(form, other) for other in foreign)


def _alike(form: LearntForm, other: LearntForm) -> bool:
    if form.kind == other.kind or form.shape != other.shape:
        return False
    literals = [piece for piece in form.pieces if isinstance(piece, str)]
    return literals == [piece for piece in other.pieces if isinstance(piece, str)]
