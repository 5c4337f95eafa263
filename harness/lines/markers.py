"""The lines of the guest helper, which every grammar reads: what a driver prints does not change them."""

from __future__ import annotations

from harness.events import Marker
from harness.lines.grammar import Field, Form
from harness.lines.template import field_of

__all__ = ["MARKERS"]


def _marker(phase: str, *more: str | Field) -> Form:
    action = Field("action", "[a-z][a-z-]*", str, "an action")
    pieces = (action, " id=", field_of("step", "d"), " pid=", field_of("pid", "d"))
    return Form(Marker, (f"[actor] {phase} ", *pieces, *more), constants={"phase": phase})


MARKERS = (
    _marker("begin"),
    _marker("end", " status=", Field("status", "[0-9]{1,20}", field_of("pid", "d").convert, "a number")),
)
"""Their forms."""
