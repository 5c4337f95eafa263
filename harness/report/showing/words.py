"""Times and identities as they are shown of a recording."""

from __future__ import annotations

from typing import Final, TypeAlias

from harness.report.text import one_line
from harness.trace.lives import KERNEL, Life

__all__ = ["Segments", "duration_text", "plain", "process_name", "time_text"]

Segments: TypeAlias = list[tuple[str, str]]
"""A line: pieces of text, each with its style of rich, or an empty one."""
_SECOND: Final = 10_000_000


def time_text(time: int | None) -> str:
    """A target time in seconds, exact; empty where it is not told."""
    if time is None:
        return ""
    seconds, rest = divmod(abs(time), _SECOND)
    return f"{'-' * (time < 0)}{seconds}.{rest:07}"


def duration_text(duration: int) -> str:
    """A span of target time, in the unit in which it is easily read."""
    unit, size = next(
        ((unit, size) for unit, size in (("s", _SECOND), ("ms", 10_000)) if abs(duration) >= size), ("us", 10)
    )
    whole, rest = divmod(abs(duration), size)  # in integers, since a recording may hold any
    return f"{'-' * (duration < 0)}{whole}.{rest * 1000 // size:03} {unit}"


def process_name(life: Life) -> str:
    """A process in one line: its program and its PID."""
    if life.pid == KERNEL:
        return "the kernel"
    return f"{one_line(life.program) or 'process'} {life.pid}"


def plain(segments: Segments) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in segments)
