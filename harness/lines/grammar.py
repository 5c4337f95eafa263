"""A line grammar: which lines a driver prints, and what each of them reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from harness.events import Event, Print

__all__ = [
    "MAX_AMBIGUOUS_LINE",
    "MAX_REGEX_LINE",
    "Continuation",
    "Field",
    "Form",
    "Grammar",
    "Misfit",
    "Piece",
    "Splits",
    "pattern_of",
]

MAX_AMBIGUOUS_LINE: Final = 2048
"""Characters of a line that is held to a form with two pieces of free text: where one ends and the other
begins is tried out, which takes time with the square of the length."""

MAX_REGEX_LINE: Final = 1024
"""Characters of a line that is held to a regular expression of the user's."""


class Field(NamedTuple):
    """A piece of a line that is not the same in every line."""

    name: str
    """The event's field that it gives; empty: it is read and not kept."""
    pattern: str
    """Regular expression without groups that have names."""
    convert: Callable[[str], object]
    """Its text as the field's value; ValueError: the line does not fit."""
    words: str
    """What is expected there, for people: "a decimal number"."""
    before: str = ""
    """Literal text in front of it that belongs to it: where the field may be absent, both are."""
    absent: bool = False
    """The field may be absent."""
    free: bool = False
    """It takes any text, and what stands behind it does not tell where it ends."""
    end: str = ""
    """The text at which it ends; a blank: any white space."""


Piece: TypeAlias = str | Field
"""Literal text, or a field."""


class Misfit(NamedTuple):
    """Where a line stopped fitting the form that it fits furthest."""

    position: int
    """The first character that does not fit, from 1; one more than the line has where it ends too early."""
    kind: str
    """The kind of event that the nearest form reports."""
    expected: str
    """What the form has there."""

    def __str__(self) -> str:
        return f"fits {self.kind} up to character {self.position}, where {self.expected} is expected"


@dataclass(frozen=True, eq=False)
class Form:
    """One form of a line: pieces, or a regular expression."""

    event: type[Event]
    pieces: tuple[Piece, ...]
    tail: tuple[Piece, ...] = ()
    """What may follow, all or nothing of it."""
    constants: Mapping[str, object] = field(default_factory=dict)
    """Fields of the event that every line of this form gives the same value."""
    regex: str = ""
    """In place of the literal text and the fields' patterns; ``pieces`` then are the fields of its named
    groups."""
    then: tuple[Continuation, ...] = ()
    """The lines that follow and belong to the same event."""
    text: str = ""
    """How its author wrote it."""
    line: int = 0
    """Where, in the grammar's file; 0: in none."""

    @property
    def tag(self) -> str:
        """The literal text that every line of this form begins with; empty: it begins with something else."""
        first = self.pieces[0] if self.pieces and not self.regex else ""
        return first if isinstance(first, str) else ""

    @property
    def kind(self) -> str:
        """The kind of event, as in :data:`harness.events.KINDS`."""
        return str(self.event.__struct_config__.tag)

    @property
    def given(self) -> frozenset[str]:
        """The event's fields that a line of this form gives."""
        return frozenset((*self.constants, *(item.name for item in self._fields)))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        if self.regex:
            return re.compile(self.regex, re.ASCII | re.DOTALL)
        tail = f"(?:{pattern_of(self.tail)})?" if self.tail else ""
        return re.compile(pattern_of(self.pieces) + tail, re.ASCII | re.DOTALL)

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        pieces = (*self.pieces, *self.tail)
        return tuple(piece for piece in pieces if isinstance(piece, Field) and piece.name)

    @cached_property
    def _needed(self) -> frozenset[str]:
        """Fields without which there is no such event; only a regular expression may fit without them."""
        fields = msgspec.structs.fields(self.event)
        return frozenset(item.name for item in fields if item.required)

    @cached_property
    def _longest(self) -> int | None:
        """Characters of a line that may fit; None: any number."""
        if self.regex:
            return MAX_REGEX_LINE
        free = sum(isinstance(piece, Field) and piece.free for piece in (*self.pieces, *self.tail))
        return MAX_AMBIGUOUS_LINE if free > 1 else None

    def fields(self, text: str) -> dict[str, Any] | None:
        """The fields of the event that ``text`` reports; None when it does not fit to the last character."""
        if self._longest is not None and len(text) > self._longest:
            return None
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        found: dict[str, Any] = dict(self.constants)
        try:
            for item in self._fields:
                value = match[item.name]
                if value is not None:
                    found[item.name] = item.convert(value)
                elif item.name in self._needed:
                    return None
        except ValueError:
            return None
        return found

    def misfit(self, text: str) -> Misfit:
        """Where a text that does not fit stops fitting."""
        if self._longest is not None and len(text) > self._longest:
            return Misfit(self._longest + 1, self.kind, "the end of the line")
        if self.regex:
            return Misfit(1, self.kind, f"the regular expression {self.text}")
        ways = [self.pieces, (*self.pieces, *self.tail)] if self.tail else [self.pieces]
        position, expected = max((_furthest(way, text) for way in ways), key=lambda found: found[0])
        return Misfit(position + 1, self.kind, expected)

    def out_of_range(self, text: str) -> Misfit | None:
        """The field whose value a text of this form cannot have; None where it is not of this form."""
        if self._longest is not None and len(text) > self._longest:
            return None
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        for item in self._fields:
            if match[item.name] is not None:
                try:
                    item.convert(match[item.name])
                except ValueError as error:
                    return Misfit(match.start(item.name) + 1, self.kind, str(error))
        return None


class Continuation(NamedTuple):
    """A line that belongs to the event which a line before it began."""

    form: Form
    optional: bool
    """The driver prints it in some cases only."""


class Splits(NamedTuple):
    """How a driver prints a line that is too long for one DbgPrint call."""

    tag: str
    """What the joined line begins with."""
    pattern: re.Pattern[str]
    """A part: groups ``part`` (its number from 1), ``parts`` (of how many), ``key`` (the line's) and
    ``piece``."""


class Grammar:
    """The forms of a driver's lines.

    :param name: for messages.
    :param forms: of several that fit a line the first is taken, so the most frequent come first.
    :param markers: the forms of the guest helper's lines, which are read before any other.
    :param prefix: literal text that every line of the driver begins with; the forms have it, too.
    :param tail: what any line may end with; its fields are read from lines that fit no form, too.
    :param splits: None: the driver prints no line in parts.
    :param ignored: forms of lines of the driver that report nothing.
    :param encoding: in which the driver prints, a name of Python's.
    :param by_print: each DbgPrint call is a line, whatever line ends are in it.
    :param complete: the driver promises a line for each callback that it gets, and none without.
    :param text: the whole file it comes from.
    """

    def __init__(
        self,
        name: str,
        forms: tuple[Form, ...],
        *,
        markers: tuple[Form, ...] = (),
        prefix: str = "",
        tail: tuple[Piece, ...] = (),
        splits: Splits | None = None,
        ignored: tuple[Form, ...] = (),
        encoding: str = "utf-8",
        by_print: bool = False,
        complete: bool = False,
        text: str = "",
    ) -> None:
        self.name = name
        self.forms = forms
        self.markers = markers
        self.splits = splits
        self.ignored = ignored
        self.encoding = encoding
        self.by_print = by_print
        self.complete = complete
        self.text = text
        self.kinds = frozenset(form.kind for form in forms)
        """The kinds of event that its lines report; of another one the driver prints nothing."""
        self.records = tuple(form for form in forms if form.then)
        """The forms whose event takes several lines."""
        self._single = tuple(form for form in forms if not form.then)
        self._prefix = prefix
        self._marker_tag = markers[0].tag.partition(" ")[0] + " " if markers else ""
        self._prefix_first = bool(prefix) and not self._marker_tag.startswith(prefix)
        self.driver_tags = (prefix,) if prefix else tuple(dict.fromkeys(filter(_is_tag, _tags_of(forms))))
        """Texts that a line of the driver begins with."""
        self.tells_whose = bool(prefix) or all(map(_is_tag, _tags_of(forms)))
        """A line tells by its beginning that it is this driver's."""
        self.tags = (*self.driver_tags, *filter(None, (self._marker_tag,)))
        """Every text that begins a line."""
        self._tail = re.compile(pattern_of(tail) + r"\Z", re.ASCII) if tail else None
        self._tail_fields = tuple(piece for piece in tail if isinstance(piece, Field) and piece.name)

    def parse(self, text: str, index: int, host_time: float | None = None) -> Event:
        """The event that one line reports; a :class:`~harness.events.Print` where it fits no form.

        :param text: a line without its line end; split lines joined.
        :param index: capture order of the event, from 0.
        :param host_time: host clock at reception, or None where the trace must not depend on it.
        """
        if self._prefix_first and text.startswith(self._prefix):
            forms = self._single
        elif self._marker_tag and text.startswith(self._marker_tag):
            forms = self.markers
        elif text.startswith(self._prefix):
            forms = self._single
        else:
            return Print(index=index, line=text, host_time=host_time)
        for form in forms:
            fields = form.fields(text)
            if fields is not None:
                return form.event(index=index, line=text, host_time=host_time, **fields)
        return Print(index=index, line=text, host_time=host_time, **self._tail_of(text))

    def decode(self, data: bytes) -> str:
        """The text of a DbgPrint call as the target sent it; a byte that is no character stays ``\\xd3``."""
        return data.decode(self.encoding, "backslashreplace")

    def claims(self, text: str) -> bool:
        """Whether the line begins as a driver's do, so that it should have fitted a form."""
        return text.startswith(self.driver_tags) and not self.ignores(text)

    def ignores(self, text: str) -> bool:
        """Whether the line is one of those that report nothing."""
        return any(form.fields(text) is not None for form in self.ignored)

    def fitting(self, text: str) -> list[Form]:
        """Every form that a line fits, where it is no marker; the first is the one that reads it."""
        if self._marker_tag and text.startswith(self._marker_tag):
            return [form for form in self.markers if form.fields(text) is not None]
        return [form for form in self.forms if form.fields(text) is not None]

    def misfit(self, text: str) -> Misfit:
        """Where a line that fits no form stopped fitting the nearest one."""
        forms = [*self.forms, *self.markers]
        for form in forms:
            if (found := form.out_of_range(text)) is not None:
                return found
        return max((form.misfit(text) for form in forms), key=lambda found: found.position)

    def _tail_of(self, text: str) -> dict[str, Any]:
        match = self._tail.search(text) if self._tail is not None else None
        if match is None:
            return {}
        try:
            return {item.name: item.convert(match[item.name]) for item in self._tail_fields}
        except ValueError:
            return {}


_SHORTEST_TAG: Final = 3
"""Characters other than blanks by which a line is known for the driver's."""


def _is_tag(text: str) -> bool:
    return len("".join(text.split())) >= _SHORTEST_TAG


def _tags_of(forms: tuple[Form, ...]) -> list[str]:
    return [form.tag for form in forms]


def _regex(piece: Piece) -> str:
    if isinstance(piece, str):
        return re.escape(piece)
    found = re.escape(piece.before) + (f"(?P<{piece.name}>{piece.pattern})" if piece.name else piece.pattern)
    return f"(?:{found})?" if piece.absent else found


def pattern_of(pieces: tuple[Piece, ...]) -> str:
    """The regular expression of some pieces, with a group for each field that has a name."""
    return "".join(map(_regex, pieces))


def _furthest(pieces: tuple[Piece, ...], text: str) -> tuple[int, str]:
    """How many characters of ``text`` these pieces fit, and what is expected after them."""
    fitted = re.match("", text)
    for place, piece in enumerate(pieces):
        longer = re.compile(pattern_of(pieces[: place + 1]), re.ASCII | re.DOTALL).match(text)
        if longer is not None:
            fitted = longer
            continue
        assert fitted is not None
        position = fitted.end()
        if not isinstance(piece, str):
            return position, piece.words
        previous = pieces[place - 1] if place else ""
        if isinstance(previous, Field) and previous.free:
            # Free text swallows everything: the literal after it was reached where most of it stands.
            begin = fitted.start(previous.name) if previous.name else 0
            for length in range(len(piece) - 1, 1, -1):
                start = text.rfind(piece[:length], begin)
                if start >= 0:
                    return start + length, repr(piece[length:])
            return position, repr(piece)
        same = next((n for n, (a, b) in enumerate(zip(piece, text[position:], strict=False)) if a != b), None)
        if same is None:
            same = min(len(piece), len(text) - position)
        return position + same, repr(piece[same:])
    assert fitted is not None
    return fitted.end(), "the end of the line"
