"""A recording that sees callbacks at breakpoints: of a target that is already there, and lives on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kd_peer import KEY, free_udp_port
from living_target import PATIENCE, LivingTarget, calls_its_driver

from harness.api import record
from harness.callbacks import CALLBACK_KINDS
from harness.events import kind_of
from harness.outcome import Outcome
from harness.trace import TraceReader


@pytest.mark.skipif(os.name == "nt", reason="the target's thread and the host share one interpreter")
def test_a_recording_holds_what_was_printed_and_what_was_seen(tmp_path: Path) -> None:
    connection = f"net:port={free_udp_port()},key={KEY.format()}"
    with LivingTarget(connection, calls_its_driver) as target:
        recorded = record(
            connection, duration=3.0, out=tmp_path / "run.jsonl", witness="breakpoint", wait=PATIENCE
        )
        target.must_run("after the recording")
        assert target.breakpoints == set()
    assert recorded.verdict.outcome is Outcome.PASSED, recorded.verdict.line
    assert recorded.verdict.witness == "breakpoint"
    assert {registered.export for registered in recorded.recording.registered} == {
        "PsSetCreateProcessNotifyRoutine",
        "PsSetCreateThreadNotifyRoutine",
        "PsSetLoadImageNotifyRoutine",
    }
    assert {str(registered).split("+")[0] for registered in recorded.recording.registered} == {"watched.sys"}
    reader = TraceReader(tmp_path / "run.jsonl")
    events = list(reader)
    seen = [event for event in events if event.witness == "breakpoint"]
    assert {kind_of(event) for event in seen} <= set(CALLBACK_KINDS) and seen
    assert all(event.call is not None and event.call.driver == "watched.sys" for event in seen)
    assert any(event.line for event in events), "the driver's lines are there, too"
    assert reader.footer is not None and reader.footer.witness == "breakpoint"
