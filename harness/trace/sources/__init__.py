"""Recordings, whoever made them, each read into what the stage after it takes."""

from harness.trace.sources.opening import TraceSource, open_trace
from harness.trace.sources.textlog import TextLog

__all__ = ["TextLog", "TraceSource", "open_trace"]
