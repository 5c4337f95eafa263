"""The pages show the code as it is, and their examples are scenarios."""

from __future__ import annotations

import re
from pathlib import Path

from harness.scenario import parse
from tools.diagrams import DRAWINGS, PAGES, redraw


def test_the_pages_are_drawn_from_the_code_as_it_is() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    for name in DRAWINGS:
        assert any(f"<!-- drawn: {name} -->" in text for text in texts), name
    assert [redraw(text) for text in texts] == texts, "run: python -m tools.diagrams"


def test_the_examples_on_the_page_about_scenarios_are_scenarios() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGES[1].read_text(encoding="utf-8"), re.DOTALL)
    assert [parse(text, Path("scenarios.md")).name for text in examples] == ["library", "device"]
