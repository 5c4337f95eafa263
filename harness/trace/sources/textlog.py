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
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["TextLog", "text_encoding"]


class TextLog:
    """One text file; every iteration reads it from the beginning, and memory does not grow with its length.

    A text log has no footer: whether it holds all that was printed is not known. Lines are cut at
    :data:`harness.lines.MAX_LINE` characters; what is no character in the encoding becomes U+FFFD.

    :param encoding: as :func:`text_encoding` finds it; the grammar's own counts before UTF-8.
    :param grammar: of the driver's lines. Where a print is not the same as a line, the log does not tell
        where a print ended, and is read line by line.
    """

    def __init__(self, path: Path, encoding: str, grammar: Grammar) -> None:
        self.path = path
        self.header = Header(machine={"type": "recorded", "source": "text log"}, lines=described(grammar))
        self.footer: Footer | None = None
        self.damage = ""
        self._encoding = encoding if encoding == "utf-16" or grammar.encoding == "utf-8" else grammar.encoding
        self._grammar = grammar

    def __iter__(self) -> Iterator[Event]:
        assembler = EventAssembler(self._grammar)
        self.footer, self.damage = None, ""
        try:
            with TextIOWrapper(
                open_unpacked(self.path), encoding=self._encoding, errors="replace", newline="\n"
            ) as file:
                while piece := file.readline(MAX_LINE):
                    yield from assembler.feed(piece)
        except Damaged as error:
            self.damage = str(error)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None
        yield from assembler.flush()


def text_encoding(head: bytes) -> str | None:
    """The encoding of a text file that begins so; None: it is no text.

    UTF-8 with or without a byte order mark, or UTF-16 with one, as WinDbg's ``.logopen /u`` writes.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None if b"\x00" in head else "utf-8-sig"
