"""Annotations: what a CI service shows at a line of a file, one a cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.order.result import Place
from harness.report.explanation import account_text
from harness.report.frequency import causes_and_frequencies
from harness.report.place import place_of
from harness.report.text import one_line, printable, shortened
from harness.runs.result import RunResult

__all__ = ["MESSAGE_LENGTH", "TITLE_LENGTH", "Annotation", "annotations_of"]

TITLE_LENGTH = 200
"""Characters of a title at most; GitHub takes 255."""
MESSAGE_LENGTH = 4000
"""Characters of a message at most; GitHub takes 64 KiB."""


@dataclass(frozen=True)
class Annotation:
    """Text at a line of a file. Title and message are printable and short enough to be shown."""

    place: Place
    title: str
    message: str
    """In lines, the reason first."""

    @classmethod
    def of(cls, place: Place, title: str, message: str) -> Annotation:
        """The annotation, shortened and made printable."""
        title = one_line(shortened(title, TITLE_LENGTH))
        return cls(place, title, printable(shortened(message, MESSAGE_LENGTH)))


def annotations_of(results: Sequence[RunResult]) -> list[Annotation]:
    """One a cause of the runs that failed, at the line of the first of them."""
    return [_annotation(alike[0], often) for alike, often in causes_and_frequencies(results)]


def _annotation(first: RunResult, often: str) -> Annotation:
    title = f"{first.outcome.words}: {first.title}"
    return Annotation.of(place_of(first), title, account_text(first, often))
