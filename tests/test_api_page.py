"""The examples of docs/api.md, executed from the first to the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.rooms import PACKAGE

PAGE = PACKAGE.parent / "docs" / "api.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_do_what_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "scenarios").symlink_to(PACKAGE.parent / "scenarios", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for number, example in enumerate(EXAMPLES, 1):
        exec(compile(example, f"docs/api.md, example {number}", "exec"), names)
    assert len(EXAMPLES) > 2
    assert (tmp_path / "traces" / "latest").exists(), "the runs left their traces"
