"""Lines of one kind of callback become forms: what is the same in all of them, and what each other part is.

A part is a field only where it agrees with that field of the call in every line, varies, and no other field
agrees in all of them, too. Everything else stays a placeholder without a name, with what is not known of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import msgspec

from harness.callbacks import CALLBACK_KINDS
from harness.events import Event, ProcessExit, kind_of
from harness.learning.atoms import Atom, cut, shape_of
from harness.learning.heard import PROGRAM, HeardCall

__all__ = ["CallLine", "LearntForm", "Slot", "forms_of", "is_number", "needed_fields", "settle_constants"]

MIN_LINES: Final = 4
"""Lines that must agree before a part of them is a field: fewer agree by chance."""
MAX_WORDS: Final = 4
"""Different words in one place that are wordings of the driver; more of them are something that varies."""

MAX_CONSTANT: Final = 16
"""Digits of a number that may vary although it was never seen to."""

_DECIMAL: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{1,16}", re.ASCII)
_MARKED: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,16}", re.ASCII)
_BASES: Final = {"d": (_DECIMAL, 10), "x": (_HEXADECIMAL, 16)}
_NUMBERS: Final = ("pid", "tid", "parent_pid", "creating_pid", "creating_tid", "context_pid", "context_tid")
_OTHERS: Final = ("base", "size", "cpu", "time")


class CallLine(NamedTuple):
    """A line, and the call in which it was printed."""

    text: str
    call: HeardCall


@dataclass(frozen=True)
class Slot:
    """A part of a form that is not the same in every line, or that may not be."""

    type: str
    """A placeholder's type, ``d``, ``x``, ``0x``, ``word``; ``text``: one that other text ends."""
    name: str = ""
    """The event's field; empty: it is not kept."""
    constant: str = ""
    """The number that stood there in every line."""
    doubt: str = ""
    """What is not known of it, in words."""


@dataclass(eq=False)
class LearntForm:
    """One format of a line."""

    kind: str
    pieces: list[str | Slot]
    sample: str
    """One of its lines."""
    count: int
    shape: tuple[str, ...] = ()
    lines: list[CallLine] = field(default_factory=list, repr=False)
    """All of its lines."""

    @property
    def fields(self) -> frozenset[str]:
        """The event's fields that it gives."""
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, Slot) and piece.name)

    def without_names(self) -> LearntForm:
        """The same, of lines that no field is taken from."""
        return replace(
            self,
            pieces=[replace(piece, name="") if isinstance(piece, Slot) else piece for piece in self.pieces],
        )

    @property
    def doubts(self) -> list[str]:
        """What is not known of its parts."""
        return [piece.doubt for piece in self.pieces if isinstance(piece, Slot) and piece.doubt]

    @property
    def literal(self) -> int:
        """Characters that are the same in every line."""
        return sum(len(piece) for piece in self.pieces if isinstance(piece, str))


class _Member(NamedTuple):
    line: CallLine
    atoms: tuple[Atom, ...]


def needed_fields(event: type[Event]) -> frozenset[str]:
    """The fields without which there is no such event; an image load is none without its name."""
    names = frozenset(item.name for item in msgspec.structs.fields(event) if item.required) - {"index"}
    return names or frozenset({PROGRAM})


def forms_of(lines: Iterable[CallLine]) -> list[LearntForm]:
    """The forms of the lines that calls of one kind to one routine printed."""
    by_shape: defaultdict[tuple[str, ...], list[_Member]] = defaultdict(list)
    for line in lines:
        atoms = cut(line.text, line.call.texts)
        by_shape[shape_of(atoms)].append(_Member(line, atoms))
    return [_form(part, shape) for shape, members in by_shape.items() for part in _wordings(members)]


def _wordings(members: list[_Member]) -> Iterator[list[_Member]]:
    """The lines of one shape, apart by the words in which the driver says different things."""
    for place, atom in enumerate(members[0].atoms):
        if atom.kind != "word":
            continue
        parts: defaultdict[str, list[_Member]] = defaultdict(list)
        for member in members:
            text = member.atoms[place].text
            parts["" if is_number(text) else text].append(member)
        worded = not any(letter.isdigit() for text in parts for letter in text)
        if worded and 1 < len(parts) <= MAX_WORDS:
            for part in parts.values():
                yield from _wordings(part)
            return
    yield members


def is_number(text: str) -> bool:
    """Whether it may be a number, decimal or hexadecimal."""
    return bool(_HEXADECIMAL.fullmatch(text) or _DECIMAL.fullmatch(text))


def _form(members: list[_Member], shape: tuple[str, ...]) -> LearntForm:
    calls = [member.line.call for member in members]
    pieces: list[str | Slot] = []
    for column in zip(*(member.atoms for member in members), strict=True):
        pieces += _column(column, calls, first=not any(isinstance(piece, Slot) for piece in pieces))
    return LearntForm(
        kind_of(calls[0].event),
        _once(_joined(pieces)),
        members[0].line.text,
        len(members),
        shape,
        [member.line for member in members],
    )


def _column(column: Sequence[Atom], calls: Sequence[HeardCall], *, first: bool) -> list[str | Slot]:
    """What stands in one place of all lines; ``first``: nothing that varies stands before it."""
    texts = [atom.text for atom in column]
    if column[0].kind == "mark":
        return [texts[0]]
    if column[0].kind == "text":
        return [_text(column, calls)]
    if len(set(texts)) == 1:
        number = is_number(texts[0]) and any(letter.isdigit() for letter in texts[0])
        return [Slot("x", constant=texts[0])] if number and not first else [texts[0]]
    if all(map(is_number, texts)):
        return [_number(texts, calls)]
    return _behind_word(texts, calls)


def _text(column: Sequence[Atom], calls: Sequence[HeardCall]) -> Slot:
    labels = frozenset.intersection(*(atom.labels for atom in column))
    event = calls[0].event
    shown = repr(column[0].text)
    if labels == {PROGRAM} and hasattr(event, PROGRAM):
        if len(column) >= MIN_LINES and len({atom.text for atom in column}) > 1:
            return Slot("text", PROGRAM)
        return Slot("text", doubt=f"whether {shown} is the image: there were too few lines to tell")
    if PROGRAM in labels and hasattr(event, PROGRAM):
        return Slot("text", doubt=f"whether {shown} is {_either(sorted(labels))}")
    return Slot("text", doubt="" if labels else f"what {shown} is")


def _behind_word(texts: Sequence[str], calls: Sequence[HeardCall]) -> list[str | Slot]:
    """A word that varies: a number behind letters that are the same (``pid1552``), or anything."""
    ways: list[list[str | Slot]] = []
    for length in range(1, min(map(len, texts))):
        if len({text[:length] for text in texts}) > 1:
            break
        rest = [text[length:] for text in texts]
        if all(map(is_number, rest)) and (slot := _number(rest, calls)).name:
            ways.append([texts[0][:length], slot])
    if len(ways) == 1:
        return ways[0]
    return [Slot("word", doubt=f"what the word {texts[0]!r} is")]


def _number(texts: Sequence[str], calls: Sequence[HeardCall]) -> Slot:
    agreeing: defaultdict[str, list[str]] = defaultdict(list)
    for kind, (pattern, base) in _BASES.items():
        if not all(pattern.fullmatch(text) for text in texts):
            continue
        values = [int(text, base) for text in texts]
        for name in (*_NUMBERS, *_OTHERS):
            if all(_agrees(call.event, name, value) for call, value in zip(calls, values, strict=True)):
                agreeing[kind].append(name)
    marked = all(map(_MARKED.fullmatch, texts))
    unnamed = "0x" if marked else _unnamed(texts)
    found = [(kind, name) for kind, names in agreeing.items() for name in _told_apart(names, calls)]
    if len(found) == 1 and len(texts) >= MIN_LINES:
        ((kind, name),) = found
        return Slot("0x" if marked else kind, name)
    if not found:
        return Slot(unnamed, doubt=f"what the number {texts[0]!r} is")
    names = sorted({name for _, name in found})
    if len(found) == 1:
        return Slot(unnamed, doubt=f"whether {texts[0]!r} is {names[0]}: there were too few lines to tell")
    if len(names) == 1:
        return Slot(unnamed, doubt=f"whether {names[0]}, as in {texts[0]!r}, is decimal or hexadecimal")
    return Slot(unnamed, doubt=f"whether {texts[0]!r} is {_either(names)}: they were always the same")


def _unnamed(texts: Sequence[str]) -> str:
    """The type of a number that nothing is known of: the widest that reads all of them."""
    return "x" if all(map(_HEXADECIMAL.fullmatch, texts)) else "d"


def _agrees(event: Event, name: str, value: int) -> bool:
    told = getattr(event, name, None)
    if told is None:
        return False
    if name == "time":
        left = event.call.left if event.call is not None else None
        return bool(told <= value <= (told if left is None else left))
    return bool(told == value)


def _told_apart(names: list[str], calls: Sequence[HeardCall]) -> list[str]:
    """Without those that are another field by what Windows documents.

    A process's exit is reported in its last thread, a thread's in itself: there the context's ids *are* the
    ids that are reported, whichever of them a driver prints.
    """
    events = [call.event for call in calls]
    same: dict[str, str] = {}
    kind = CALLBACK_KINDS[kind_of(events[0])]
    process, thread = kind.context_fields
    if "tid" in needed_fields(kind.event) and all(
        getattr(event, "tid") == getattr(event, thread)  # noqa: B009 - only some kinds of event have it
        for event in events
    ):
        same = {process: "pid", thread: "tid"}
    elif kind.event is ProcessExit:
        same = {process: "pid"}
    return [name for name in names if same.get(name) not in names]


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)


def settle_constants(forms: Sequence[LearntForm]) -> None:
    """Numbers that were the same in every line of a form: literal text where they are what tells the form
    from one of another kind, else numbers that are not known."""
    literal = {form: _telling(form, forms) for form in forms}
    for form, places in literal.items():
        pieces: list[str | Slot] = []
        for place, piece in enumerate(form.pieces):
            if not isinstance(piece, Slot) or not piece.constant:
                pieces.append(piece)
            elif place in places or len(piece.constant) > MAX_CONSTANT:
                pieces.append(piece.constant)
            else:
                doubt = f"whether the number {piece.constant!r} is always the same"
                pieces.append(Slot(piece.type, doubt=doubt))
        form.pieces = _joined(pieces)


def _telling(form: LearntForm, forms: Sequence[LearntForm]) -> set[int]:
    """The places of constants that differ in a form of another kind which is the same otherwise."""
    places: set[int] = set()
    for other in forms:
        if other.kind == form.kind or other.shape != form.shape or len(other.pieces) != len(form.pieces):
            continue
        found: set[int] = set()
        for place, (one, two) in enumerate(zip(form.pieces, other.pieces, strict=True)):
            if not isinstance(one, Slot) or not isinstance(two, Slot):
                if one != two:
                    break
            elif one.constant and two.constant and one.constant != two.constant:
                found.add(place)
        else:
            places |= found
    return places


def _joined(pieces: Iterable[str | Slot]) -> list[str | Slot]:
    found: list[str | Slot] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        elif piece != "":
            found.append(piece)
    return found


def _once(pieces: list[str | Slot]) -> list[str | Slot]:
    """A field that the driver prints twice is kept once: the first time."""
    seen: set[str] = set()
    found: list[str | Slot] = []
    for piece in pieces:
        if isinstance(piece, Slot) and piece.name:
            if piece.name in seen:
                piece = Slot(piece.type)
            else:
                seen.add(piece.name)
        found.append(piece)
    return found
