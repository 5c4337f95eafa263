"""A line grammar: which lines a driver prints, and what each of them reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from harness.events import Event, Marker, Print

__all__ = ["Field", "Form", "Grammar", "Misfit", "Piece", "Splits"]


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


@dataclass(frozen=True)
class Form:
    """One form of a line."""

    event: type[Event]
    pieces: tuple[Piece, ...]
    """The first is literal text, the tag by which lines of this form are found."""
    tail: tuple[Piece, ...] = ()
    """What may follow, all or nothing of it."""
    constants: Mapping[str, object] = field(default_factory=dict)
    """Fields of the event that every line of this form gives the same value."""

    @property
    def tag(self) -> str:
        """The text that every line of this form begins with."""
        assert isinstance(self.pieces[0], str)
        return self.pieces[0]

    @property
    def kind(self) -> str:
        """The kind of event, as in :data:`harness.events.KINDS`."""
        return str(self.event.__struct_config__.tag)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        tail = f"(?:{_joined(self.tail)})?" if self.tail else ""
        return re.compile(_joined(self.pieces) + tail, re.ASCII | re.DOTALL)

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        pieces = (*self.pieces, *self.tail)
        return tuple(piece for piece in pieces if isinstance(piece, Field) and piece.name)

    def fields(self, text: str) -> dict[str, Any] | None:
        """The fields of the event that ``text`` reports; None when it does not fit to the last character."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        found: dict[str, Any] = dict(self.constants)
        try:
            for item in self._fields:
                value = match[item.name]
                if value is not None:
                    found[item.name] = item.convert(value)
        except ValueError:
            return None
        return found

    def misfit(self, text: str) -> Misfit:
        """Where a text that does not fit stops fitting."""
        ways = [self.pieces, (*self.pieces, *self.tail)] if self.tail else [self.pieces]
        position, expected = max((_furthest(way, text) for way in ways), key=lambda found: found[0])
        return Misfit(position + 1, self.kind, expected)

    def out_of_range(self, text: str) -> Misfit | None:
        """The field whose value a text of this form cannot have; None where it is not of this form."""
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


class Splits(NamedTuple):
    """How a driver prints a line that is too long for one DbgPrint call."""

    tag: str
    """What the joined line begins with."""
    pattern: re.Pattern[str]
    """A part: number from 1, of how many, the line's key, the piece."""


class Grammar:
    """The forms of a driver's lines.

    :param name: for messages.
    :param forms: the most frequent first; of several that fit a line the first is taken.
    :param tail: what any line may end with; its fields are read from lines that fit no form, too.
    :param splits: None: the driver prints no line in parts.
    """

    def __init__(
        self,
        name: str,
        forms: tuple[Form, ...],
        *,
        tail: tuple[Piece, ...] = (),
        splits: Splits | None = None,
    ) -> None:
        self.name = name
        self.forms = forms
        self.splits = splits
        self._by_tag: dict[str, list[Form]] = {}
        for form in forms:
            self._by_tag.setdefault(form.tag, []).append(form)
        self.tags = tuple(self._by_tag)
        """Every text that a line of this grammar begins with."""
        self.driver_tags = tuple({form.tag for form in forms if form.event is not Marker})
        """Those that a line of the driver begins with."""
        self._tail = re.compile(_joined(tail) + r"\Z", re.ASCII) if tail else None
        self._tail_fields = tuple(piece for piece in tail if isinstance(piece, Field) and piece.name)

    def parse(self, text: str, index: int, host_time: float | None = None) -> Event:
        """The event that one line reports; a :class:`~harness.events.Print` where it fits no form.

        :param text: a line without its line end; split lines joined.
        :param index: capture order of the event, from 0.
        :param host_time: host clock at reception, or None where the trace must not depend on it.
        """
        for tag, forms in self._by_tag.items():
            if not text.startswith(tag):
                continue
            for form in forms:
                fields = form.fields(text)
                if fields is not None:
                    return form.event(index=index, line=text, host_time=host_time, **fields)
            return Print(index=index, line=text, host_time=host_time, **self._tail_of(text))
        return Print(index=index, line=text, host_time=host_time)

    def claims(self, text: str) -> bool:
        """Whether the line begins as a driver's do, so that it should have fitted a form."""
        return text.startswith(self.driver_tags)

    def misfit(self, text: str) -> Misfit:
        """Where a line that fits no form stopped fitting the nearest one."""
        for form in self.forms:
            if (found := form.out_of_range(text)) is not None:
                return found
        return max((form.misfit(text) for form in self.forms), key=lambda found: found.position)

    def _tail_of(self, text: str) -> dict[str, Any]:
        match = self._tail.search(text) if self._tail is not None else None
        if match is None:
            return {}
        try:
            return {item.name: item.convert(match[item.name]) for item in self._tail_fields}
        except ValueError:
            return {}


def _regex(piece: Piece) -> str:
    if isinstance(piece, str):
        return re.escape(piece)
    found = re.escape(piece.before) + (f"(?P<{piece.name}>{piece.pattern})" if piece.name else piece.pattern)
    return f"(?:{found})?" if piece.absent else found


def _joined(pieces: tuple[Piece, ...]) -> str:
    return "".join(map(_regex, pieces))


def _furthest(pieces: tuple[Piece, ...], text: str) -> tuple[int, str]:
    """How many characters of ``text`` these pieces fit, and what is expected after them."""
    fitted = re.match("", text)
    for place, piece in enumerate(pieces):
        longer = re.compile(_joined(pieces[: place + 1]), re.ASCII | re.DOTALL).match(text)
        if longer is not None:
            fitted = longer
            continue
        assert fitted is not None
        position = fitted.end()
        if not isinstance(piece, str):
            return position, piece.words
        previous = pieces[place - 1] if place else ""
        if isinstance(previous, Field) and previous.pattern == ".*":
            # Free text swallows everything: the literal after it was reached where most of it stands.
            for length in range(len(piece) - 1, 1, -1):
                start = text.rfind(piece[:length], fitted.start(previous.name))
                if start >= 0:
                    return start + length, repr(piece[length:])
            return position, repr(piece)
        same = next((n for n, (a, b) in enumerate(zip(piece, text[position:], strict=False)) if a != b), None)
        if same is None:
            same = min(len(piece), len(text) - position)
        return position + same, repr(piece[same:])
    assert fitted is not None
    return fitted.end(), "the end of the line"
