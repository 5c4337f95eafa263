"""Columns: many events in few bytes, as the page's script takes them apart again (``assets/events.js``).

Numbers are the steps from one to the next. A line is its form, in which ``\\0`` stands for a number, and the
numbers, those of one place of one form together: a driver prints few forms, and its numbers grow.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from harness.report.html.textroom import size_of

__all__ = ["LineColumns", "indexed", "packed", "steps"]

Column: TypeAlias = list[int | None] | tuple[list[str], list[int]]
"""Steps of numbers; or different texts, and which of them each is."""

_NUMBER: Final = re.compile(r"(0x[0-9a-fA-F]+|[0-9]+)")
_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]{0,14})\Z")
"""A decimal number that JavaScript holds exactly, and writes as it was read."""
_PLACE: Final = 20
"""Characters that a place of a form counts for: its mark in the form, and a column of its own."""
_PIECE: Final = 1 << 20
"""Bytes that are packed at once."""


def steps(values: Iterable[int | None]) -> list[int | None]:
    """Each number less the one before it; what is not known stays so."""
    last = 0
    found: list[int | None] = []
    for value in values:
        found.append(None if value is None else value - last)
        last = last if value is None else value
    return found


def indexed(values: Iterable[str]) -> tuple[list[str], list[int]]:
    """The different texts in the order in which they came, and which of them each is."""
    places: dict[str, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    return list(places), numbers


class LineColumns:
    """Lines of text, of which many have the same form."""

    def __init__(self) -> None:
        self._forms: dict[str, int] = {}
        self._of: list[int] = []
        self._places: list[list[list[str]]] = []

    def take(self, line: str) -> int:
        """Take one line after the others.

        :returns: the characters that it adds.
        """
        parts = _NUMBER.split(line.replace("\0", ""))
        form, numbers = "\0".join(parts[::2]), parts[1::2]
        new = size_of(form) + _PLACE * len(numbers) if form not in self._forms else 0
        self._put(form, numbers)
        return new + sum(map(len, numbers))

    def take_whole(self, line: str) -> None:
        """Take one line that is looked into for no numbers, so that it makes no form of its own."""
        self._put("\0", [line.replace("\0", "")])

    def _put(self, form: str, texts: Sequence[str]) -> None:
        number = self._forms.setdefault(form, len(self._forms))
        self._of.append(number)
        if number == len(self._places):
            self._places.append([[] for _ in texts])
        for place, text in zip(self._places[number], texts, strict=True):
            place.append(text)

    def document(self) -> dict[str, object]:
        """``forms``, which of them each line has (``of``), and a list of columns a form (``places``)."""
        places = [[_column(place) for place in form] for form in self._places]
        return {"forms": list(self._forms), "of": self._of, "places": places}


def _column(texts: Sequence[str]) -> Column:
    if all(map(_PLAIN.match, texts)):
        return steps(map(int, texts))
    return indexed(texts)


def packed(document: object) -> str:
    """``document`` as JSON, deflated and in base64, whose characters end no element of a page."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    # Level 9 takes four times as long for 2 % less. In pieces, so that Ctrl-C is heard between them.
    deflate = zlib.compressobj(6)
    pieces = [deflate.compress(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE)]
    return base64.b64encode(b"".join([*pieces, deflate.flush()])).decode("ascii")
