"""DbgPrint text → lines → events, without I/O.

Three steps, each usable alone::

    LineAssembler   the texts of DbgPrint calls → whole lines (a call may hold several, or part of one)
    Grammar         one line → one event
    EventAssembler  both, and the events' index

Which lines a driver prints is a value, a :class:`Grammar`; :data:`PROCNOTIFY` is the default one. What does
not fit a form to the last character is a :class:`~harness.events.Print`. The text comes from the target and
is not trusted: nothing in it raises, and every length is bounded here.
"""

from harness.lines.assembler import (
    MAX_LINE,
    MAX_OPEN_LINES,
    MAX_OPEN_SPLITS,
    MAX_PART,
    MAX_PARTS,
    EventAssembler,
    Line,
    LineAssembler,
)
from harness.lines.grammar import Field, Form, Grammar, Misfit, Splits
from harness.lines.procnotify import PROCNOTIFY, parse

__all__ = [
    "MAX_LINE",
    "MAX_OPEN_LINES",
    "MAX_OPEN_SPLITS",
    "MAX_PART",
    "MAX_PARTS",
    "PROCNOTIFY",
    "EventAssembler",
    "Field",
    "Form",
    "Grammar",
    "Line",
    "LineAssembler",
    "Misfit",
    "Splits",
    "parse",
]
