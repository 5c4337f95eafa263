"""Answers of bounded size, and paths that stay below one folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from this_system import SHELL

from harness.errors import UsageError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=9), inner, max_size=6),
    max_leaves=60,
)


@settings(max_examples=15)
@given(st.dictionaries(st.text(max_size=12), _VALUES, max_size=8), st.integers(1_000, 4_000))
def test_an_answer_is_whole_or_says_what_was_cut(
    mcp: ModuleType, document: dict[str, Any], limit: int
) -> None:
    from harness.mcpserver.bounds import bounded

    found = bounded(document, limit)
    if found != document:
        assert found["cut"] and sum(found["cut"].values()) > 0
    assert len(json.dumps(found)) <= max(limit, 2_000)


def test_what_was_cut_is_named_with_its_place(mcp: ModuleType) -> None:
    from harness.mcpserver.bounds import bounded

    document = {"exit_code": 1, "results": [{"explanation": "x" * 5_000}] * 400}
    found = bounded(document, 10_000)
    assert found["exit_code"] == 1
    assert len(found["results"]) < 400
    assert found["cut"]["$.results"] == 400 - len(found["results"])
    assert found["cut"]["$.results[0].explanation"] > 0
    assert bounded(document, 10**7) == document


@pytest.mark.parametrize("text", ["..", "../x", "/etc/passwd", "a/../../x", "", "a\0b", "a\nb", "x" * 2_000])
def test_a_path_that_leads_out_is_refused(mcp: ModuleType, tmp_path: Path, text: str) -> None:
    from harness.mcpserver.confinement import confined

    with pytest.raises(UsageError, match=r"outside of|is no path"):
        confined(tmp_path.resolve(), text)


@SHELL
def test_a_link_that_leads_out_is_refused(mcp: ModuleType, tmp_path: Path) -> None:
    from harness.mcpserver.confinement import confined

    inside, outside = tmp_path.resolve() / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "same").symlink_to(inside)
    with pytest.raises(UsageError, match="outside of"):
        confined(inside, "link/secret.yaml")
    assert confined(inside, "same/a.yaml") == confined(inside, "x/../a.yaml") == Path("a.yaml")
