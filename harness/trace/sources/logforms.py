"""What a tool puts around a driver's lines: DebugView's columns, a debugger's prompts and own words.

Sources: DebugView's help (its columns, the clock formats); what WinDbg and kd print when they start, connect,
break in and load modules, as Microsoft's pages on kernel debugging show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

from harness.lines import Grammar

__all__ = ["DEBUGGER", "DEBUGVIEW", "LogForm", "form_of"]

_ROW: Final = re.compile(
    r"\d{1,10}[\t ]+(?:\d{1,9}\.\d{1,9}|\d{1,2}:\d\d:\d\d(?:[.,]\d{1,3})?(?: [AP]M)?)[\t ](?P<text>.*?)\t?"
)
"""Number, time and text of a row of DebugView: seconds since the first one, or the time of day."""
_PROMPT: Final = re.compile(r"(?:\d{1,4}: )?(?:kd|lkd)(?::x86|:arm|:thumb)?> ?(?P<text>.*)")
_CHATTER: Final = re.compile(
    r"""
      Microsoft\ \(R\)\ Windows\ Debugger\ Version\ .*
    | Copyright\ \(c\)\ Microsoft\ Corporation\.\ All\ rights\ reserved\.
    | (?:Opened|Closing\ open)\ log\ file\ .*
    | Waiting\ to\ (?:re)?connect\.\.\.
    | Using\ NET\ for\ debugging | Opened\ WinSock\ 2\.0 | Opened\ \\\\\.\\.*
    | (?:Will\ request|You\ can\ get)\ .*
    | Connected\ to\ (?:Windows|target)\ .*
    | Kernel\ Debugger\ connection\ established\..*
    | (?:Symbol|Executable)\ search\ path\ is:.*
    | Windows\ .*\ Kernel\ Version\ .*
    | (?:Product|Built\ by|Edition\ build\ lab|Machine\ Name|Debug\ session\ time|System\ Uptime):\ ?.*
    | (?:Kernel|Primary\ image)\ base\ =\ 0x.*
    | Loading\ (?:Kernel\ Symbols|User\ Symbols|unloaded\ module\ list)
    | ModLoad:\ .*
    | KDTARGET:\ .*
    | Break\ instruction\ exception\ -\ code\ .*
    | Shutdown\ occurred\ at\ .*
    | NatVis\ script\ .*
    """,
    re.VERBOSE,
)


class LogForm(Protocol):
    """What a log's lines are made of."""

    name: str
    order: str

    def text_of(self, line: str, grammar: Grammar) -> str | None:
        """What was printed; None: nothing, the tool itself said it."""


class _DebugView:
    name = "DebugView log"
    order = "the rows, as DebugView got them"

    def text_of(self, line: str, grammar: Grammar) -> str | None:
        row = _ROW.fullmatch(line)
        return None if row is None else row["text"]


class _Debugger:
    name = "text log"
    order = "the lines of the log; what the debugger itself says is left out"

    def text_of(self, line: str, grammar: Grammar) -> str | None:
        prompt = _PROMPT.fullmatch(line)
        if prompt is not None:
            # A print that came while the debugger waited for a command.
            return prompt["text"] if grammar.claims(prompt["text"]) else None
        return None if _CHATTER.fullmatch(line) and not grammar.claims(line) else line


DEBUGVIEW: Final[LogForm] = _DebugView()
DEBUGGER: Final[LogForm] = _Debugger()
_LOOKED_AT: Final = 64


def form_of(lines: Iterable[str]) -> LogForm:
    """The form of a log by its first lines: DebugView's where most of them are its rows."""
    first = [line.rstrip("\r") for line in lines if line.strip()][:_LOOKED_AT]
    rows = sum(_ROW.fullmatch(line) is not None for line in first)
    return DEBUGVIEW if rows * 2 > len(first) else DEBUGGER
