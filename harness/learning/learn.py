"""From what was heard to a line grammar that reads it back, and what is not known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from harness.callbacks import CALLBACK_KINDS
from harness.errors import GrammarError
from harness.events import Event, kind_of
from harness.grammars.read import MAX_FORMS, parse_grammar
from harness.learning.atoms import cut, is_same_program
from harness.learning.entries import GrammarEntry, GroupLines, entries_of
from harness.learning.forms import CallLine, LearntForm, forms_of, is_number, settle_constants
from harness.learning.heard import PROGRAM, HeardCall, HeardPrint, HeardRun
from harness.learning.writing import ENTRY, escaped, grammar_text, template_of
from harness.lines import EventAssembler, Grammar

__all__ = ["Learnt", "LearntEntry", "learn"]

_BESIDE: Final = ("index", "line", "host_time", "witness", "call", "seq")
"""Fields of an event in which it need not be like the call."""
_CALLBACKS: Final = tuple(kind.event for kind in CALLBACK_KINDS.values())


class LearntEntry(NamedTuple):
    """A form of the grammar."""

    kind: str
    text: str
    """As the file has it; of a record the first line."""
    fields: tuple[str, ...]
    """The event's fields that it gives."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt."""

    text: str
    """The grammar file; without a form it is comments alone."""
    entries: tuple[LearntEntry, ...]
    doubts: tuple[str, ...]
    """What is not known, in words."""
    calls: int
    """Callback calls in all runs."""
    read: int
    """Of them, those whose event the grammar gives."""
    complete: bool
    """In every run every call gave its event, and nothing else did."""


class _Group(NamedTuple):
    kind: str
    routine: int


def learn(runs: Sequence[HeardRun], name: str, *, origin: str, encoding: str = "utf-8") -> Learnt:
    """The grammar of the lines that were heard.

    :param runs: of one driver under several seeds; what one of them contradicts is not known.
    :param name: of the grammar, as its file has it.
    :param origin: what was heard, in words, for the file's first line.
    :param encoding: in which the driver prints.
    """
    return _Learner(runs, name, origin, encoding).learn()


class _Learner:
    def __init__(self, runs: Sequence[HeardRun], name: str, origin: str, encoding: str) -> None:
        self._runs = runs
        self._name = name
        self._origin = origin
        self._encoding = encoding
        self._doubts: list[str] = []
        self._unread: dict[LearntForm, str] = {}
        """Forms of lines that are no entry, and why not."""
        self._by_print = self._ends_without_line_end()
        self._note_encoding()
        self._ignored: dict[str, None] = {}

    def learn(self) -> Learnt:
        entries = self._entries()
        self._outside()
        while entries:
            text = self._text(entries)
            try:
                grammar = parse_grammar(text, Path(f"{self._name}.yaml"))
            except GrammarError as error:
                self._drop(entries, _entry_at(text, error.line), f"it cannot be written: {error.message}")
                continue
            wrong = next(self._wrong(grammar), None)
            if wrong is None:
                return self._learnt(entries, grammar)
            self._drop(entries, *wrong)
        return self._learnt([], None)

    def _drop(self, entries: list[GrammarEntry], place: int, why: str) -> None:
        entry = entries.pop(min(place, len(entries) - 1))
        self._unread[entry.head] = why

    def _learnt(self, entries: list[GrammarEntry], grammar: Grammar | None) -> Learnt:
        calls = sum(len(run.calls) for run in self._runs)
        read, complete = 0, False
        if grammar is not None:
            read, complete = self._count(grammar)
            for form in list(self._unread):
                if grammar.fitting(form.sample):
                    del self._unread[form]  # another form reads its lines, too
        made = tuple(
            LearntEntry(entry.head.kind, template_of(entry.head), tuple(sorted(_given(entry))))
            for entry in entries
        )
        text = self._text(entries, complete=complete)
        return Learnt(text, made, tuple(self._all_doubts(entries)), calls, read, complete)

    def _all_doubts(self, entries: Sequence[GrammarEntry]) -> list[str]:
        found = []
        for entry in entries:
            for form in (entry.head, *(form for form, _ in entry.then)):
                found += [f"{form.kind}: {form.sample!r}: {doubt}" for doubt in form.doubts]
        for form, why in self._unread.items():
            found.append(f"{form.kind}: {form.sample!r}: {'; '.join((why, *form.doubts))}")
        return list(dict.fromkeys((*found, *self._doubts)))

    def _text(self, entries: Sequence[GrammarEntry], *, complete: bool = False) -> str:
        return grammar_text(
            self._name,
            entries,
            list(self._ignored)[:MAX_FORMS],
            self._all_doubts(entries),
            origin=self._origin,
            by_print=self._by_print,
            encoding=self._encoding,
            complete=complete,
        )

    # What was printed in the calls

    def _decoded(self, heard: HeardPrint) -> str:
        return heard.data.decode(self._encoding, "backslashreplace")

    def _note_encoding(self) -> None:
        for heard in (heard for run in self._runs for heard in run.prints):
            try:
                heard.data.decode(self._encoding)
            except UnicodeDecodeError:
                self._doubts.append(
                    f"the code page: what is no {self._encoding} stands as \\xd3 (say it: --encoding gbk)"
                )
                return

    def _ends_without_line_end(self) -> bool:
        """Whether what a call prints does not end with a line, so that each print must be one."""
        last: dict[tuple[int, int], str] = {}
        for number, run in enumerate(self._runs):
            for heard in run.prints:
                if heard.call is not None and heard.data:
                    last[number, heard.call] = self._decoded(heard)
        return any(not text.endswith("\n") for text in last.values())

    def _lines(self, prints: Sequence[HeardPrint]) -> list[str]:
        texts = [self._decoded(heard) for heard in prints]
        if self._by_print:
            return [line for text in texts if (line := text.rstrip("\r\n"))]
        return [line for text in "".join(texts).split("\n") if (line := text.removesuffix("\r"))]

    def _calls(self) -> Iterator[tuple[HeardCall, list[HeardPrint]]]:
        for run in self._runs:
            prints: defaultdict[int, list[HeardPrint]] = defaultdict(list)
            for heard in run.prints:
                if heard.call is not None:
                    prints[heard.call].append(heard)
            for number, call in enumerate(run.calls):
                yield call, prints[number]

    def _entries(self) -> list[GrammarEntry]:
        groups: defaultdict[_Group, list[list[CallLine]]] = defaultdict(list)
        for call, prints in self._calls():
            routine = call.event.call.routine if call.event.call is not None else 0
            lines = [CallLine(text, call) for text in self._lines(prints)]
            groups[_Group(kind_of(call.event), routine)].append(lines)
        forms: list[LearntForm] = []
        printed: dict[_Group, GroupLines] = {}
        for group, calls in groups.items():
            found = forms_of(line for lines in calls for line in lines)
            forms += found
            form_of = {id(line): form for form in found for line in form.lines}
            printed[group] = GroupLines(
                group.kind, [tuple(form_of[id(line)] for line in lines) for lines in calls]
            )
            self._note_silence(group, calls)
        settle_constants(forms)
        entries: dict[tuple[str, ...], GrammarEntry] = {}
        for told in printed.values():
            made = entries_of(told, forms)
            self._unread |= made.unread
            self._ignored |= {template_of(form.without_names()): None for form in made.silent}
            for entry in made.entries:
                key = (told.kind, *(template_of(form) for form in (entry.head, *dict(entry.then))))
                entries.setdefault(key, entry)
        return sorted(entries.values(), key=lambda entry: -entry.head.literal)

    def _note_silence(self, group: _Group, calls: Sequence[Sequence[CallLine]]) -> None:
        silent = sum(not lines for lines in calls)
        if silent:
            self._doubts.append(f"{group.kind}: {silent} of {len(calls)} calls printed nothing")

    def _outside(self) -> None:
        """Lines that no callback printed."""
        others: Counter[str] = Counter()
        for run in self._runs:
            for loading in (True, False):
                prints = [heard for heard in run.prints if heard.call is None and heard.loading is loading]
                for line in self._lines(prints):
                    template = _without_numbers(line)
                    if loading:
                        self._ignored[template] = None
                    else:
                        others[template] += 1
        if any(heard.call is None and heard.loading for run in self._runs for heard in run.prints):
            self._doubts.append(
                "which of the lines under 'ignore' tell of a registration, a removal or a failure"
            )
        for template, count in others.items():
            self._doubts.append(f"{template!r}: printed {count} times outside of all callbacks")

    # Whether the grammar reads them back

    def _wrong(self, grammar: Grammar) -> Iterator[tuple[int, str]]:
        """Forms by which a line is read for what it is not, and why."""
        for call, prints in self._calls():
            for event in self._read(grammar, prints):
                if isinstance(event, _CALLBACKS) and (difference := _difference(event, call)):
                    yield _reader(grammar, event), f"{event.line!r} is {difference}"
        for run in self._runs:
            outside = [heard for heard in run.prints if heard.call is None]
            for event in self._read(grammar, outside):
                if isinstance(event, _CALLBACKS):
                    yield _reader(grammar, event), f"{event.line!r} is printed outside of all callbacks, too"

    def _read(self, grammar: Grammar, prints: Sequence[HeardPrint]) -> list[Event]:
        assembler = EventAssembler(grammar)
        events = [
            event for heard in prints for event in assembler.feed_bytes(heard.data, None, heard.processor)
        ]
        return events + assembler.flush()

    def _count(self, grammar: Grammar) -> tuple[int, bool]:
        """Of how many calls one event is read, and whether that is so of all, in every run as a whole."""
        read = sum(
            sum(isinstance(event, _CALLBACKS) for event in self._read(grammar, prints)) == 1
            for _, prints in self._calls()
        )
        calls = sum(len(run.calls) for run in self._runs)
        whole = sum(
            isinstance(event, _CALLBACKS) for run in self._runs for event in self._read(grammar, run.prints)
        )
        return read, read == calls == whole


def _given(entry: GrammarEntry) -> frozenset[str]:
    return entry.head.fields.union(*(form.fields for form, _ in entry.then))


def _entry_at(text: str, line: int) -> int:
    """Which entry, from 0, of a grammar file stands on that line, from 1."""
    above = text.splitlines()[:line]
    return max(0, sum(row.startswith(ENTRY) for row in above) - 1)


def _reader(grammar: Grammar, event: Event) -> int:
    """The number of the form that made the event."""
    first = event.line.split("\n")[0] if not grammar.by_print else event.line
    return next(
        place
        for place, form in enumerate(grammar.forms)
        if form.event is type(event) and any(form.fields(text) is not None for text in (first, event.line))
    )


def _difference(event: Event, call: HeardCall) -> str:
    """In what an event is not like its call, in words; empty: in nothing."""
    if type(event) is not type(call.event):
        return f"a {kind_of(call.event)}"
    for item in msgspec.structs.fields(type(event)):
        value, told = getattr(event, item.name), getattr(call.event, item.name)
        if item.name in _BESIDE or value is None or value == told:
            continue
        if item.name == PROGRAM:
            path = call.texts.get(PROGRAM)
            if not value or (path is not None and is_same_program(str(value), path)):
                continue
        elif item.name == "time" and told is not None:
            left = call.event.call.left if call.event.call is not None else None
            if told <= value <= (told if left is None else left):
                continue
        return f"not {item.name}={told}"
    return ""


def _without_numbers(line: str) -> str:
    """A line, as a form, in which every number may be another."""
    return "".join(
        "{:x}" if is_number(atom.text) and any(map(str.isdigit, atom.text)) else escaped(atom.text)
        for atom in cut(line, {})
    )
