"""DbgPrint text → lines → events, without I/O.

Four steps, each usable alone::

    LineAssembler    the texts of DbgPrint calls → whole lines (a call may hold several, or part of one)
    RecordAssembler  lines → records of several lines, and the lines that belong to none
    Grammar          one line → one event
    EventAssembler   all of them, and the events' index

Which lines a driver prints is a value, a :class:`Grammar`, read from a file by :mod:`harness.grammars`. What
does not fit a form to the last character is a :class:`~harness.events.Print`. The text comes from the target
and is not trusted: nothing in it raises, and every length is bounded here.
"""

from harness.lines.assembler import (
    MAX_LINE,
    MAX_OPEN_LINES,
    MAX_OPEN_SPLITS,
    MAX_PART,
    MAX_PARTS,
    EventAssembler,
    LineAssembler,
)
from harness.lines.grammar import Continuation, Field, Form, Grammar, Misfit, Splits
from harness.lines.markers import MARKERS
from harness.lines.records import MAX_OPEN_RECORDS, MAX_RECORD_WAIT, Line

__all__ = [
    "MARKERS",
    "MAX_LINE",
    "MAX_OPEN_LINES",
    "MAX_OPEN_RECORDS",
    "MAX_OPEN_SPLITS",
    "MAX_PART",
    "MAX_PARTS",
    "MAX_RECORD_WAIT",
    "Continuation",
    "EventAssembler",
    "Field",
    "Form",
    "Grammar",
    "Line",
    "LineAssembler",
    "Misfit",
    "Splits",
]
