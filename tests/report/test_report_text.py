"""Text from a target reaches neither the terminal nor XML with its controls."""

from __future__ import annotations

import pytest

from harness.report.text import one_line, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, tab\tand line\n", "plain, tab\tand line\n"),
        ("Grüße 漢字", "Grüße 漢字"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("back\rspace\b\x7f", "back\\x0dspace\\x08\\x7f"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("right \u202eto left", "right \\u202eto left"),
        ("a\u2028b \u2029 \u061c", "a\\u2028b \\u2029 \\u061c"),
        ("half \ud800 and \uffff", "half \\ud800 and \\uffff"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::gone", "\\x3a:error::gone"),
        ("calm\n \t::stop-commands::x\n::", "calm\n \t\\x3a:stop-commands::x\n\\x3a:"),
        ("wide\n\u3000::error::x", "wide\n\u3000\\x3a:error::x"),
        ("std::vector ::1", "std::vector ::1"),
        ("x ##[add-path]/tmp", "x \\x23#[add-path]/tmp"),
        ("x ##vso[task.complete result=Succeeded]", "x \\x23#vso[task.complete result=Succeeded]"),
        ("###VSO[a]", "#\\x23#VSO[a]"),
        ("## Heading #[1]", "## Heading #[1]"),
    ],
)
def test_what_a_ci_service_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_character_of_unicode_ends_a_line_that_is_one() -> None:
    every = "".join(map(chr, range(0x11_0000)))
    assert len(one_line(every).splitlines()) == 1


@pytest.mark.parametrize(
    ("length", "left"), [(9, "a" * 9), (10, "a" * 10), (11, "aaaaaaa..."), (32_767, "aaaaaaa...")]
)
def test_what_is_too_long_ends_in_dots(length: int, left: str) -> None:
    assert shortened("a" * length, 10) == left
