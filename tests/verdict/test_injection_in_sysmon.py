"""The shipped scenario of an injection, held to what Sysmon recorded of a real one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sysmon_records import SYSMON, flat

from harness.events import ImageLoad, ProcessCreate, ThreadCreate
from harness.mining.selection import parse_selections
from harness.outcome import Outcome
from harness.scenario import Scenario, parse
from harness.trace.conversion import convert
from harness.trace.sources import open_trace
from harness.verdict.perinstance import judge_instances
from harness.verdict.recording import judge_recording

INJECT = Path(__file__).resolve().parents[2] / "scenarios" / "inject.yaml"
PIDS = ["victim=3440", "launcher=3904", "injector=3224"]


@pytest.fixture
def recording(shared_data: Path) -> Path:
    return shared_data / "sysmon" / "mavinject-loadlibrary-notepad.json.xz"


def injected(*, ends: bool) -> Scenario:
    """The shipped scenario, of the library that was injected there, with the victim's end or without it."""
    text = INJECT.read_text(encoding="utf-8").replace("probe-injected.dll", "T1055.dll")
    if not ends:
        rows = text.splitlines(keepends=True)
        text = "".join(row for row in rows if "- thread_exit:" not in row and "- process_exit:" not in row)
    return parse(text, INJECT)


def test_the_chain_is_found(recording: Path) -> None:
    chain = [
        event
        for event in open_trace(recording)
        if isinstance(event, ProcessCreate | ThreadCreate)
        or (isinstance(event, ImageLoad) and (event.image or "").endswith("T1055.dll"))
    ]
    assert [(type(event), event.pid) for event in chain] == [
        (ProcessCreate, 3440),
        (ProcessCreate, 3224),
        (ThreadCreate, 3440),
        (ImageLoad, 3440),
    ]


def test_the_order_holds_and_what_sysmon_does_not_tell_is_said(recording: Path) -> None:
    verdict = judge_recording(open_trace(recording), injected(ends=False), bind=PIDS)
    assert verdict.outcome is Outcome.PASSED, verdict.reason
    assert verdict.check is not None
    first, second = verdict.check.witnesses
    assert Counter(match.pattern.kind for match in first.matches) == {
        "process_create": 1,
        "image_load": 3,
        "thread_create": 1,
    }
    assert Counter(match.pattern.kind for match in second.matches) == {"thread_create": 1, "image_load": 1}
    said = "\n".join(verdict.not_judged_lines)
    for words in (
        "thread_create (line 21 of inject.yaml): the tool does not record it",
        "order (4 lines of inject.yaml): the recording does not tell when an event of the kind image_load",
        "creating_pid (line 20 of inject.yaml): no process_create in this recording carries it",
        "nothing_after_process_exit (lifecycle rules): the recording does not tell when an image was loaded",
    ):
        assert words in said


def test_the_end_of_the_victim_which_was_not_recorded_is_no_pass(recording: Path) -> None:
    verdict = judge_recording(open_trace(recording), injected(ends=True), bind=PIDS)
    assert verdict.outcome is Outcome.BROKEN
    assert "not found: process_exit" in verdict.reason


def test_a_thread_of_which_nobody_knows_that_it_is_a_foreign_one_is_not_judged(recording: Path) -> None:
    verdict = judge_recording(open_trace(recording), injected(ends=False), bind=PIDS[:2])
    assert verdict.outcome is Outcome.PASSED
    assert verdict.check is not None
    kinds = [match.pattern.kind for witness in verdict.check.witnesses for match in witness.matches]
    assert "thread_create" not in kinds


def test_an_injector_that_did_not_do_it_is_not_passed(recording: Path) -> None:
    wrong = [*PIDS[:2], "injector=3904"]
    verdict = judge_recording(open_trace(recording), injected(ends=False), bind=wrong)
    assert verdict.outcome is Outcome.BROKEN


def test_a_converted_log_proves_no_more(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    convert(open_trace(recording), out)
    whole = [judge_recording(open_trace(path), injected(ends=False), bind=PIDS) for path in (recording, out)]
    assert whole[0].outcome is whole[1].outcome is Outcome.PASSED
    assert whole[0].not_judged_lines == whole[1].not_judged_lines
    assert whole[0].held == whole[1].held


def test_instance_by_instance_no_order_among_images_is_judged_either(tmp_path: Path) -> None:
    at = "2026-03-01 12:00:0"
    rows = [
        (
            SYSMON,
            1,
            1,
            {"UtcTime": f"{at}0.000", "ProcessId": "8", "ParentProcessId": "4", "Image": "C:\\x.exe"},
        ),
        (SYSMON, 7, 2, {"UtcTime": f"{at}0.000", "ProcessId": "8", "ImageLoaded": "C:\\b.dll"}),
        (SYSMON, 7, 3, {"UtcTime": f"{at}0.000", "ProcessId": "8", "ImageLoaded": "C:\\a.dll"}),
        (SYSMON, 5, 4, {"UtcTime": f"{at}1.000", "ProcessId": "8", "Image": "C:\\x.exe"}),
    ]
    log = tmp_path / "log"
    log.write_text("".join(flat(row) + "\n" for row in rows), encoding="utf-8")
    scenario = parse(
        "scenario: s\nsummary: s.\nsteps:\n  - launch: {image: x.exe, as: p}\nexpect:\n  - scope: {pid: $p}\n"
        "    order: [image_load: {image: a.dll}, image_load: {image: b.dll}, process_exit: any]\n",
        Path("s.yaml"),
    )
    found = judge_instances(open_trace(log), scenario, parse_selections(["image=x.exe"]))
    (instance,) = found.instances
    assert instance.verdict.outcome is Outcome.PASSED, instance.verdict.reason
    assert "tell when an event of the kind image_load came" in "\n".join(instance.verdict.not_judged_lines)
