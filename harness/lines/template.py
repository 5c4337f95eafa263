"""A form of a line as its author writes it: literal text with typed placeholders.

In the manner of the PyPI package ``parse``: ``Process [{image:until ]}] has gone, PID {pid:d}``. ``{{`` and
``}}`` are braces, ``{? ...}`` is a part that may be absent, with one placeholder in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, NoReturn

from harness.events import Totals
from harness.lines.grammar import Field, Piece

__all__ = [
    "MAX_FREE_TEXTS",
    "MAX_PIECES",
    "MAX_TEMPLATE",
    "MAX_WORDS",
    "TEXT_FIELDS",
    "TYPES",
    "TemplateError",
    "field_of",
    "number_field",
    "read_template",
    "settled",
    "text_field",
    "values_of",
]

MAX_TEMPLATE: Final = 1024
"""Characters of a form."""
MAX_PIECES: Final = 40
"""Literal texts and placeholders of a form."""
MAX_FREE_TEXTS: Final = 2
"""Placeholders of a form that take any text: the time to find out where they end grows with the length of the
line to this power."""
MAX_WORDS: Final = 16
"""Of a table of words."""

_U64 = 1 << 64
_U32 = 1 << 32
_IDENTIFIER = r"[A-Za-z_]\w*(?:::~?\w+)*"  # MSVC's __FUNCTION__ in C++ carries the class
_COUNTER = r"[a-z][a-z0-9_]{0,63}=[0-9]{1,20}"
TEXT_FIELDS: Final = frozenset({"image", "function", "routine", "piece"})
"""The fields that are texts; the totals and the kind apart, the others are numbers."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)?(?::(until .[^}]*|[^{}]*))?\}", re.DOTALL)
_WORD = re.compile(r"([^=|{}]{1,64})=([A-Za-z0-9_]{1,64})")


class TemplateError(ValueError):
    """The text of a form is wrong."""

    def __init__(self, message: str, hint: str = "", *, word: str = "", known: Collection[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.word = word
        """A word that is not known."""
        self.known = known
        """Those that are."""


class _PlaceholderType(NamedTuple):
    pattern: str
    convert: Callable[[str], object]
    words: str
    number: bool
    free: bool = False
    end: str = ""


def _decimal(text: str) -> int:
    return _u64(int(text))


def _hexadecimal(text: str) -> int:
    return _u64(int(text, 16))


def _u64(number: int) -> int:
    if number >= _U64:
        raise ValueError("a number of 64 bits")
    return number


def _status(text: str) -> int:
    """An NTSTATUS as ``%d`` prints it: the sign is its highest bit."""
    number = int(text)
    if not -(_U32 >> 1) <= number < _U32:
        raise ValueError("a number of 32 bits")
    return number % _U32


def _image(text: str) -> str | None:
    return None if text == "(null)" else text


def _totals(text: str) -> Totals:
    totals: Totals = {}
    for counter in text.split(" "):
        kind, _, count = counter.partition("=")
        if kind in totals:
            raise ValueError(f"one counter {kind}")
        totals[kind] = _decimal(count)
    return totals


_TYPES: Final = {
    "d": _PlaceholderType("[0-9]{1,20}", _decimal, "a decimal number", number=True),
    "x": _PlaceholderType("(?:0[xX])?[0-9A-Fa-f]{1,16}", _hexadecimal, "a hexadecimal number", number=True),
    "0x": _PlaceholderType(
        "0[xX][0-9A-Fa-f]{1,16}", _hexadecimal, "'0x' and hexadecimal digits", number=True
    ),
    "word": _PlaceholderType(r"[^\s]+", str, "a word", number=False, free=True, end=" "),
    "identifier": _PlaceholderType(_IDENTIFIER, str, "an identifier", number=False),
    "path": _PlaceholderType(".*", str, "a path", number=False, free=True),
    "text": _PlaceholderType(".*", str, "a text", number=False, free=True),
    "skip": _PlaceholderType(".*?", str, "a text", number=False, free=True),
    "counters": _PlaceholderType(
        f"{_COUNTER}(?: {_COUNTER})*", _totals, "counters, each kind=number", number=False
    ),
}
TYPES: Final = (*_TYPES, "until")
"""What a placeholder may say behind its colon; a table of words apart."""


def read_template(text: str, known: Collection[str]) -> tuple[Piece, ...]:
    """The pieces of a form, or of a part of one.

    :param known: the fields that a placeholder may give.
    :raises TemplateError: it is wrong, with the character at which.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"a form of {len(text)} characters; {MAX_TEMPLATE} are allowed")
    pieces = _TemplateReader(text, known).read()
    if len(pieces) > MAX_PIECES:
        raise TemplateError(f"a form of {len(pieces)} pieces; {MAX_PIECES} are allowed")
    return tuple(pieces)


class _TemplateReader:
    def __init__(self, text: str, known: Collection[str]) -> None:
        self._text = text
        self._known = known
        self._at = 0
        self._names: set[str] = set()
        self._pieces: list[Piece] = []
        self._literal = ""

    def read(self) -> list[Piece]:
        text = self._text
        while self._at < len(text):
            if text.startswith(("{{", "}}"), self._at):
                self._literal += text[self._at]
                self._at += 2
            elif text.startswith("{?", self._at):
                self._optional()
            elif text[self._at] == "{":
                self._put(self._placeholder())
            elif text[self._at] == "}":
                self._fail("a '}' that ends nothing", "write }} for the character")
            else:
                self._literal += text[self._at]
                self._at += 1
        self._end_literal()
        return self._pieces

    def _optional(self) -> None:
        """``{? literal {placeholder}}``."""
        begin = self._at
        self._at += 2
        opened = self._text.find("{", self._at)
        before = self._text[self._at : opened]
        if opened < 0 or "}" in before:
            self._fail("an optional part without a placeholder", "write {? pid={pid:d}}", at=begin)
        self._at = opened
        item = self._placeholder()
        if not self._text.startswith("}", self._at):
            self._fail("an optional part must end behind its placeholder", "write {? pid={pid:d}}", at=begin)
        self._at += 1
        self._put(item._replace(before=before, absent=True))

    def _placeholder(self) -> Field:
        found = _PLACEHOLDER.match(self._text, self._at)
        if found is None:
            self._fail("a placeholder that does not end", "write {pid:d}, or {{ for the character")
        name, kind = found[1] or "", found[2] or ""
        if name and name not in self._known:
            self._fail(f"there is no field '{name}' here", word=name, known=self._known)
        if name in self._names:
            self._fail(f"a second '{name}'", "give one of them no name: {:d}")
        if name:
            self._names.add(name)
        try:
            item = field_of(name, kind)
        except TemplateError as error:
            self._fail(str(error), error.hint, word=error.word, known=error.known)
        self._at = found.end()
        return item

    def _put(self, item: Field) -> None:
        self._end_literal()
        self._pieces.append(item)

    def _end_literal(self) -> None:
        if self._literal:
            self._pieces.append(self._literal)
            self._literal = ""

    def _fail(
        self,
        message: str,
        hint: str = "",
        *,
        at: int | None = None,
        word: str = "",
        known: Collection[str] = (),
    ) -> NoReturn:
        place = self._at if at is None else at
        raise TemplateError(f"character {place + 1}: {message}", hint, word=word, known=known)


def field_of(name: str, kind: str) -> Field:
    """What a placeholder stands for.

    :param name: the event's field; empty: what stands there is not kept.
    :param kind: one of :data:`TYPES`, or a table of words; empty: text.
    :raises TemplateError: there is no such type, or the field is of another.
    """
    if kind.startswith("until "):
        return _until(name, kind.removeprefix("until "))
    if "=" in kind:
        return _words(name, kind)
    if not kind and name and name not in TEXT_FIELDS:
        raise TemplateError(f"'{name}' is a number of what base?", f"write {{{name}:d}} or {{{name}:x}}")
    if kind not in ("", *_TYPES):
        raise TemplateError(f"unknown type '{kind}'", word=kind, known=TYPES)
    found = _TYPES[kind or "text"]
    if name == "totals":
        if kind != "counters":
            raise TemplateError("'totals' are counters", "write {totals:counters}")
    elif name in TEXT_FIELDS:
        if found.number or kind in ("skip", "counters"):
            raise TemplateError(f"'{name}' is a text", f"write {{{name}:path}} or {{{name}:until ]}}")
    elif name and not found.number:
        raise TemplateError(f"'{name}' is a number", f"write {{{name}:d}} or {{{name}:x}}")
    if name == "status" and kind == "d":
        return Field(name, "-?[0-9]{1,10}", _status, found.words)
    convert = _image if name == "image" else found.convert
    return Field(name, found.pattern, convert, found.words, free=found.free, end=found.end)


def number_field(name: str, hexadecimal: bool) -> Field:
    """A group of a regular expression that is a number: hexadecimal, or decimal unless it begins with 0x.

    :param name: of the group, which is the event's field.
    """
    return Field(name, "", partial(_number_text, name, hexadecimal), "a number")


def text_field(name: str) -> Field:
    """A group of a regular expression that is a text."""
    return Field(name, "", _image if name == "image" else str, "a text")


def _number_text(name: str, hexadecimal: bool, text: str) -> int:
    kinds = ("x",) if hexadecimal else ("d", "0x")
    for item in (field_of(name, kind) for kind in kinds):
        if re.fullmatch(item.pattern, text):
            value = item.convert(text)
            assert isinstance(value, int)
            return value
    raise ValueError("a number")


def values_of(item: Piece) -> Mapping[str, object]:
    """Word → value of a table of words; of anything else, nothing."""
    if isinstance(item, str):
        return {}
    convert = item.convert
    return convert.args[0] if isinstance(convert, partial) and convert.func is _looked_up else {}


def _until(name: str, end: str) -> Field:
    if name and name not in TEXT_FIELDS:
        raise TemplateError(f"'{name}' is a number", f"write {{{name}:d}} or {{{name}:x}}")
    pattern = f"[^{re.escape(end)}]*" if len(end) == 1 else f"(?:(?!{re.escape(end)}).)*"
    return Field(name, pattern, _image if name == "image" else str, f"a text up to {end!r}", end=end)


def _words(name: str, table: str) -> Field:
    values: dict[str, str] = {}
    for entry in table.split("|"):
        found = _WORD.fullmatch(entry)
        if found is None:
            raise TemplateError(f"'{entry}' is no word of a table", "write {status:ok=0|failed=1}")
        if found[1] in values:
            raise TemplateError(f"the word '{found[1]}' comes twice")
        values[found[1]] = found[2]
    if not name:
        raise TemplateError("a table of words wants a name", "write {status:ok=0|failed=1}")
    if len(values) > MAX_WORDS:
        raise TemplateError(f"{len(values)} words; {MAX_WORDS} are allowed")
    given: dict[str, object] = dict(values)
    if name not in (*TEXT_FIELDS, "kind"):
        given = {word: _number(name, value) for word, value in values.items()}
    # The longer first: of two words that begin alike the shorter would hide the other.
    pattern = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    words = f"one of {', '.join(values)}"
    return Field(name, f"(?:{pattern})", partial(_looked_up, given), words)


def _looked_up(values: Mapping[str, object], word: str) -> object:
    return values[word]


def _number(name: str, text: str) -> int:
    try:
        return _u64(int(text, 16) if text.startswith("0x") else int(text))
    except ValueError:
        raise TemplateError(f"'{name}' is a number, not '{text}'", "write {status:ok=0|failed=1}") from None


def settled(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The pieces of a whole form; what ends at the literal text behind it is no longer free.

    :raises TemplateError: nobody could tell where a piece ends, or finding that out would take too long.
    """
    found: list[Piece] = []
    for piece, behind in zip(pieces, (*pieces[1:], ""), strict=True):
        found.append(piece if isinstance(piece, str) else _held(piece, behind))
    free = sum(isinstance(piece, Field) and piece.free for piece in found)
    if free > MAX_FREE_TEXTS:
        raise TemplateError(
            f"{free} placeholders take any text; {MAX_FREE_TEXTS} are allowed",
            "say where one ends: {image:until ]}, or what it is: {:d}",
        )
    return tuple(found)


def _held(piece: Field, behind: Piece) -> Field:
    """A field in front of ``behind``."""
    literal = behind if isinstance(behind, str) else behind.before
    if piece.end.isspace():
        piece = piece._replace(free=bool(literal) and not literal[0].isspace())
    elif piece.end and not (behind == "" or literal.startswith(piece.end)):
        raise TemplateError(
            f"{_named(piece)} reads up to {piece.end!r}, and something else stands behind it",
            f"write {{:until {piece.end}}}{piece.end}",
        )
    if isinstance(behind, Field) and not literal:
        raise TemplateError(
            f"nobody can tell where {_named(piece)} ends and {_named(behind)} begins",
            "put the text between them that the driver prints",
        )
    return piece


def _named(item: Field) -> str:
    return f"'{item.name}'" if item.name else item.words
