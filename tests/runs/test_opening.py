"""A rig is closed whole, whatever of it cannot be closed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from run_doubles import ScriptedMachine

import harness.runs.opening
from harness.outcome import Outcome
from harness.runs.opening import open_rig


class Unclosable(ScriptedMachine):
    def __init__(self) -> None:
        super().__init__(None)

    def close(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_machine_that_cannot_be_closed_leaves_a_closed_trace_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.runs.opening, "open_machine", lambda name: Unclosable())
    with (
        pytest.raises(OSError, match="Input/output error"),
        open_rig(
            machine="any",
            debugger="native",
            driver=None,
            trace_folder=tmp_path,
            now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
            token=lambda: "abcdef",
        ) as rig,
    ):
        trace = rig.traces.new_trace(Path("s.yaml"), 1)
        rig.traces.note(Outcome.BROKEN)
    assert (trace.parent / "outcome.txt").read_text(encoding="utf-8") == "broken promise\n"
