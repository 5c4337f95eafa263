"""The same seed says the same over a serial line as over KDNET, with native and with DbgEng.

Both are held to a run without a debugger, which costs little, and to which others hold KDNET.
"""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
from serial_cables import FORMS, serial_connection

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
SEED = 5
EVERY_FORM = list(zip(SCENARIOS, cycle(FORMS), strict=False))
"""Each scenario over one form of a connection, and each form several times."""


def run(debugger: str, scenario: Path, connection: str | None, folder: Path) -> RunResult:
    with open_rig(
        machine="virtual",
        debugger=debugger,
        driver=None,
        trace_folder=folder,
        connection=connection,
        retries=1,  # beside virtual machines that are emulated DbgEng may take longer than an attach may
    ) as rig:
        result = run_scenario(rig, load(scenario), seed=SEED)
    assert result.outcome is Outcome.PASSED, result.reason
    return result


def events_of(result: RunResult) -> list[bytes]:
    """The lines of a trace between its header and its footer."""
    assert result.trace is not None
    return result.trace.read_bytes().splitlines()[1:-1]


@pytest.mark.parametrize(("path", "form"), EVERY_FORM, ids=lambda value: getattr(value, "stem", value))
def test_the_events_are_the_same_over_every_form_of_a_serial_line(
    path: Path, form: str, tmp_path: Path
) -> None:
    expected = run("none", path, None, tmp_path)
    serial = run("native", path, str(serial_connection(form, tmp_path)), tmp_path)
    assert serial.release is not None
    assert serial.release.running, serial.left
    assert len(events_of(serial)) > 15
    assert events_of(serial) == events_of(expected)


@pytest.mark.parametrize(("name", "form"), [("notepad-launch", "pipe"), ("driver-load-unload", "tcp,server")])
def test_dbgeng_hears_the_same(pykd: str, name: str, form: str, tmp_path: Path) -> None:
    path = ROOT / "scenarios" / f"{name}.yaml"
    expected = run("none", path, None, tmp_path)
    serial = run(pykd, path, str(serial_connection(form, tmp_path)), tmp_path)
    assert serial.release is not None
    assert "its clock moved by" in serial.left
    assert events_of(serial) == events_of(expected)
