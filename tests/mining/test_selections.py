"""The texts of ``--select``."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.mining.selection import MAX_TEXT, Selection, parse_selections


@pytest.mark.parametrize(
    ("texts", "selection"),
    [
        ([], Selection()),
        (["image=Notepad.EXE"], Selection("image", "notepad.exe")),
        (["image=C:\\Windows\\notepad.exe"], Selection("image", "notepad.exe")),
        (["image=C:/Windows/notepad.exe"], Selection("image", "notepad.exe")),
        (["tree=setup.exe"], Selection("tree", "setup.exe")),
        (["scenario=inject"], Selection(scenario="inject")),
        (["image=a.exe", "scenario=inject"], Selection("image", "a.exe", scenario="inject")),
        (["image=a.exe", "image=A.EXE"], Selection("image", "a.exe")),
        (["marker=begin x=1...end"], Selection("marker", first="begin x=1", last="end")),
    ],
)
def test_what_texts_mean(texts: list[str], selection: Selection) -> None:
    assert parse_selections(texts) == selection


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["notepad.exe"], "selects nothing"),
        (["image="], "selects nothing"),
        (["pid=4"], "selects nothing"),
        (["image=C:\\"], "names no program"),
        (["marker=begin"], "names no window"),
        (["marker=a...b...c"], "names no window"),
        (["marker=...b"], "names no window"),
        (["image=a.exe", "image=b.exe"], "image=a.exe and image=b.exe contradict each other"),
        (["image=a.exe", "tree=a.exe"], "contradict each other"),
        (["scenario=a", "scenario=b"], "contradict each other"),
        (["image=" + "a" * MAX_TEXT], f"the limit is {MAX_TEXT}"),
    ],
)
def test_texts_that_mean_nothing_or_contradict_each_other(texts: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says.replace(".", r"\.")):
        parse_selections(texts)
