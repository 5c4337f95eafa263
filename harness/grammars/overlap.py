"""Forms of a line grammar that get into each other's way."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.lines import Field, Form
from harness.lines.template import values_of
from harness.yamlfile.nodes import Source

__all__ = ["note_hidden", "sample_line"]

_SAMPLES = ("zq", "7", "0x7", "zq=7")
"""What may stand in a field, the least that says something else, too, first."""


def note_hidden(source: Source, forms: Sequence[Form]) -> None:
    """Note every form whose lines a form before it reads: of several that fit a line the first is taken."""
    for place, form in enumerate(forms):
        line = sample_line(form)
        if line is None:
            continue
        hider = next((before for before in forms[:place] if before.fields(line) is not None), None)
        if hider is not None:
            source.note(
                form.line,
                f"a line of this form, {line!r}, is read by the form on line {hider.line}",
                hint="put this form before that one",
            )


def sample_line(form: Form) -> str | None:
    """A line of this form; None: of a regular expression none is known."""
    if form.regex:
        return None
    return "".join(piece if isinstance(piece, str) else _sample(piece) for piece in form.pieces)


def _sample(item: Field) -> str:
    return next(text for text in (*values_of(item), *_SAMPLES) if re.fullmatch(item.pattern, text))
