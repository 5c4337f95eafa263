"""The text of a page's timelines: so much of it whole, what comes after that shortened."""

from __future__ import annotations

from typing import Final

from harness.report.text import shortened

__all__ = ["MAX_TIMELINE_TEXT", "SHORT", "TextRoom", "size_of"]

MAX_TIMELINE_TEXT: Final = 32_000_000
"""Characters of lines and names for which the timelines of a page have room, before they are packed. 400,000
events of a driver take two thirds of it, for their lines have few forms."""
SHORT: Final = 40
"""Characters of a line, or of a name, for which there is no more room."""


class TextRoom:
    """The room that is left, shared by the timelines of one page."""

    def __init__(self, size: int = MAX_TIMELINE_TEXT) -> None:
        self._left = size

    @property
    def spent(self) -> bool:
        """There is no more."""
        return self._left <= 0

    def charge(self, size: int) -> None:
        """Have ``size`` characters less."""
        self._left -= size

    def fitted(self, text: str) -> str:
        """``text``, for which room is taken, or its beginning."""
        if self.spent:
            return shortened(text, SHORT)
        self.charge(size_of(text))
        return text


def size_of(text: str) -> int:
    """Characters that ``text`` takes in a page, in which all others than ASCII are written as escapes."""
    return len(text) if text.isascii() else len(text.encode("ascii", "backslashreplace"))
