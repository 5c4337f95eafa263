"""The document of ``--json``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.report.json_document import JSON_FORMAT, json_document


def test_a_document_says_its_format_and_its_command_first() -> None:
    text = json_document("run", results=[], exit_code=0)
    assert list(json.loads(text)) == ["format", "command", "results", "exit_code"]
    assert json.loads(text)["format"] == JSON_FORMAT
    assert json.loads(text)["command"] == "run"


def test_paths_and_outcomes_are_written_as_what_they_are() -> None:
    found = json.loads(json_document("run", trace=Path("a") / "b", code=Outcome.RIG, rows=({"x": None},)))
    assert found["trace"] == os.path.join("a", "b")  # noqa: PTH118  # the text is what is compared
    assert found["code"] == 3
    assert found["rows"] == [{"x": None}]


def test_any_output_can_carry_it_whatever_the_names() -> None:
    text = json_document("run", file="caf\udce9\udcff", words="漢字\x1b[2J")
    text.encode("ascii")
    found = json.loads(text)
    assert "\\udcff" in found["file"], "an undecodable byte is an escape in the text"
    found["file"].encode("utf-8")
    assert found["words"] == "漢字\x1b[2J"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_number_for_is_refused(value: float) -> None:
    with pytest.raises(ValueError):
        json_document("run", seconds=value)
