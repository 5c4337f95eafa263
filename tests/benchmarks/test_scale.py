"""The measurement of long traces does what it says; how much it costs is the machine's affair."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale import TASKS, measure


@pytest.mark.usefixtures("pyarrow")
def test_a_trace_is_written_mined_and_checked_in_processes(tmp_path: Path) -> None:
    for task in list(TASKS)[:3]:
        found = measure(task, tmp_path, 1000)
        assert found.seconds > 0 and found.peak > 2**20 and not found.missing, task


@pytest.mark.usefixtures("pyarrow")
def test_a_task_that_finds_something_else_fails(tmp_path: Path) -> None:
    measure("write", tmp_path, 1000)
    for task in ("mine", "check"):
        with pytest.raises(RuntimeError, match="ended without an answer"):
            measure(task, tmp_path, 2000)
