"""Learns a line grammar from what a driver printed and the callback calls that it printed it in.

::

    HeardRun ──▶ atoms (a line, cut) ──▶ forms (what is the same, and which field each part is)
             ──▶ entries (forms and records of a grammar) ──▶ writing (the file) ──▶ read back and compared

Right or not known: what any line contradicts, what several fields explain alike and what too few lines show
becomes a comment. Pure: no I/O, clock or chance.
"""

from harness.learning.heard import PROGRAM, HeardCall, HeardPrint, HeardRun
from harness.learning.learn import Learnt, LearntEntry, learn

__all__ = ["PROGRAM", "HeardCall", "HeardPrint", "HeardRun", "Learnt", "LearntEntry", "learn"]
