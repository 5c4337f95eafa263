"""A text log of what a driver printed: a line of debugger output a line, as a debugger's log file has it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from harness.errors import TraceError
from harness.events import Event
from harness.grammars import described
from harness.lines import MAX_LINE, EventAssembler, Grammar
from harness.trace.format import Footer, Header
from harness.trace.sources.imported import Damaged
from harness.trace.sources.logforms import DEBUGGER, LogForm
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["TextLog", "text_encoding"]

_NULS = 3
"""One character of so many is a NUL where UTF-16 is read as something else."""
_SHORT = 8
"""Bytes of a text whose encoding is guessed."""


class TextLog:
    """One text file; every iteration reads it from the beginning, and memory does not grow with its length.

    A text log has no footer: whether it holds all that was printed is not known. Lines are cut at
    :data:`harness.lines.MAX_LINE` characters; what is no character in the encoding becomes U+FFFD.

    :param encoding: as :func:`text_encoding` finds it; the grammar's own counts before UTF-8.
    :param form: what the log has around the lines.
    :param grammar: of the driver's lines. Where a print is not the same as a line, the log does not tell
        where a print ended, and is read line by line.
    """

    def __init__(self, path: Path, encoding: str, grammar: Grammar, form: LogForm = DEBUGGER) -> None:
        self.path = path
        self.header = Header(
            machine={"type": "recorded", "source": form.name}, order=form.order, lines=described(grammar)
        )
        self.footer: Footer | None = None
        self.damage = ""
        utf8 = encoding == "utf-8-sig"
        self._encoding = grammar.encoding if utf8 and grammar.encoding != "utf-8" else encoding
        self._grammar = grammar
        self._form = form

    def __iter__(self) -> Iterator[Event]:
        assembler = EventAssembler(self._grammar)
        self.footer, self.damage = None, ""
        try:
            with TextIOWrapper(
                open_unpacked(self.path), encoding=self._encoding, errors="replace", newline="\n"
            ) as file:
                for piece in self._printed(file):
                    yield from assembler.feed(piece)
        except Damaged as error:
            self.damage = str(error)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None
        yield from assembler.flush()

    def _printed(self, file: TextIOWrapper) -> Iterator[str]:
        """What was printed, a line a piece or a longer one in several."""
        begins = kept = True
        number = 0
        while piece := file.readline(MAX_LINE):
            number += begins
            if piece.count("\0") > len(piece) // _NULS:
                raise Damaged(
                    f"{self.path}:{number}: from here on it is another encoding than {self._encoding}",
                    hint="convert it to one",
                )
            if begins:
                line = piece.rstrip("\r\n")
                text = self._form.text_of(line, self._grammar)
                kept = text is not None
                piece = f"{text}{piece[len(line) :]}"
            begins = piece.endswith("\n")
            if kept:
                yield piece


def text_encoding(head: bytes) -> str | None:
    """The encoding of a text file that begins so; None: it is no text.

    UTF-8 with or without a byte order mark, or UTF-16 with one, as WinDbg's ``.logopen /u`` writes, or UTF-16
    without one, where half of its bytes say so. One that goes on in another encoding behind whole lines is
    text as far as these go.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    text, zero, _ = head.partition(b"\x00")
    if not zero or text.rfind(b"\n") >= _SHORT:
        return "utf-8-sig"
    for encoding, high, low in (("utf-16-le", head[1::2], head[0::2]), ("utf-16-be", head[0::2], head[1::2])):
        if len(head) >= _SHORT and high.count(0) * 2 > len(high) and not low.count(0):
            return encoding
    return None
