"""Where the events of another tool's recording come from: their order, and what was left out, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from harness.trace import Footer, Header

__all__ = ["origin_lines"]

_SHOWN = 8


def origin_lines(header: Header, footer: Footer | None) -> Iterator[str]:
    """A line for each thing that is to be known of it; none of a trace that was recorded as one."""
    if header.order:
        yield f"order: {header.order}"
    if header.unordered:
        yield f"no order is known among: {', '.join(header.unordered)}"
    if footer is not None and footer.left_out:
        rows = sorted(footer.left_out.items(), key=lambda row: (-row[1], row[0]))
        shown = ", ".join(f"{count} {kind}" for kind, count in rows[:_SHOWN])
        more = len(rows) - _SHOWN
        yield f"left out: {shown}{f' and {more} more kinds' * (more > 0)}"
