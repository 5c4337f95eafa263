"""The architecture page shows the code as it is."""

from __future__ import annotations

from tools.diagrams import DRAWINGS, PAGE, redraw


def test_the_page_is_drawn_from_the_code_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in DRAWINGS:
        assert f"<!-- drawn: {name} -->" in text
    assert redraw(text) == text, "run: python -m tools.diagrams"
