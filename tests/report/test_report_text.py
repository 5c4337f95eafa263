"""Text from a target reaches neither the terminal nor XML with its controls."""

from __future__ import annotations

import pytest

from harness.report.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, tab\tand line\n", "plain, tab\tand line\n"),
        ("Grüße 漢字", "Grüße 漢字"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("back\rspace\b\x7f", "back\\x0dspace\\x08\\x7f"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("right \u202eto left", "right \\u202eto left"),
        ("half \ud800 and \uffff", "half \\ud800 and \\uffff"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
