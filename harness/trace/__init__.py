"""Recorded sequences of events: the trace file and what its numbers prove."""

from harness.trace.format import FORMAT, Footer, Header, encode
from harness.trace.loss import LossCounter, LossReport
from harness.trace.reader import TraceReader
from harness.trace.writer import TraceWriter

__all__ = [
    "FORMAT",
    "Footer",
    "Header",
    "LossCounter",
    "LossReport",
    "TraceReader",
    "TraceWriter",
    "encode",
]
