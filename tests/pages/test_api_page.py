"""The examples of docs/api.md, executed from the first to the last."""

from __future__ import annotations

from pathlib import Path

import pytest
from reader import GIVEN, ROOT, blocks_of

from harness.connection import free_connection
from harness.machines import BootOptions, open_machine

EXAMPLES = [block.text for block in blocks_of(ROOT / "docs" / "api.md") if block.language == "python"]


def test_the_examples_do_what_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    GIVEN["scenarios"](tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    assert len(EXAMPLES) > 4
    connection, machine = free_connection(), open_machine("virtual")
    try:
        for number, example in enumerate(EXAMPLES, 1):
            if "harness.record(" in example:
                # A target dials from now on; and a minute is long for a test.
                machine.start(BootOptions(1, connection))
                example = example.replace("net:port=50000,key=1.2.3.4", str(connection))
                example = example.replace("duration=60", "duration=0.5")
            exec(compile(example, f"docs/api.md, example {number}", "exec"), names)
    finally:
        machine.close()
    assert (tmp_path / "run.jsonl").stat().st_size > 0
    assert (tmp_path / "traces" / "latest").exists(), "the runs left their traces"
