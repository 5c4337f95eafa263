"""A recording held to a scenario instance by instance."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from launches import interleaved, launch, write_trace

import harness.verdict.perinstance as perinstance
from harness.errors import TraceError, UsageError
from harness.events import Bugcheck, Event, Print
from harness.mining.selection import parse_selections
from harness.outcome import Outcome
from harness.scenario import Scenario, parse
from harness.trace.sources import open_trace
from harness.verdict.perinstance import PerInstance, judge_instances

LIFE = "+ t a.exe b.dll c.dll x1 -"
SWAPPED = "+ t a.exe c.dll b.dll x1 -"
ORDER = """
scenario: ordered
summary: b before c.
steps:
  - launch: {image: a.exe, as: program, by: launcher}
expect:
  - scope: {pid: $program}
    order:
      - process_create: {pid: $program, creating_pid: $launcher}
      - thread_create: {pid: $program, tid: $program.tid}
      - image_load: {image: b.dll}
      - image_load: {image: c.dll}
      - process_exit: {pid: $program}
"""


def scenario(text: str = ORDER) -> Scenario:
    return parse(text, Path("ordered.yaml"))


def judged(path: Path, *select: str, text: str = ORDER, bind: tuple[str, ...] = ()) -> PerInstance:
    return judge_instances(open_trace(path), scenario(text), parse_selections(select), bind=bind)


def outcomes(found: PerInstance) -> list[Outcome]:
    return [each.verdict.outcome for each in found.instances]


def test_each_instance_is_judged_by_itself(tmp_path: Path) -> None:
    trace = interleaved(
        launch(LIFE, 1000), launch(SWAPPED, 2000), launch("+ c.exe", 9000), launch(LIFE, 3000)
    )
    found = judged(write_trace(tmp_path / "t.jsonl", trace), "image=a.exe")
    assert outcomes(found) == [Outcome.PASSED, Outcome.BROKEN, Outcome.PASSED]
    assert [each.pid for each in found.instances] == [1000, 2000, 3000]
    assert found.outcome is Outcome.BROKEN
    broken = found.instances[1]
    assert "not found: image_load {image: c.dll}" in broken.verdict.reason
    assert trace[broken.first].pid == trace[broken.last].pid == 2000  # type: ignore[union-attr]  # of a process
    assert broken.verdict.events == 7  # no block looks at another process


def test_a_process_id_that_comes_back_is_judged_anew(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", [*launch(LIFE), *launch(SWAPPED), *launch(LIFE)])
    assert outcomes(judged(trace, "image=a.exe")) == [Outcome.PASSED, Outcome.BROKEN, Outcome.PASSED]


def test_events_of_others_belong_to_the_window(tmp_path: Path) -> None:
    text = ORDER + "  - never: {image_load: {image: evil.dll}}\n"
    other = launch("+ t z.exe evil.dll x1 -", 5000)
    life = launch(LIFE)
    apart = write_trace(tmp_path / "apart.jsonl", [*other, *life])
    within = write_trace(tmp_path / "within.jsonl", [*life[:3], *other, *life[3:]])
    assert judged(apart, "image=a.exe", text=text).outcome is Outcome.PASSED
    assert judged(within, "image=a.exe", text=text).outcome is Outcome.BROKEN


OF_OTHERS = """
  - order:
      - process_create: {pid: $program}
      - process_exit: {pid: $launcher}
      - process_exit: {pid: $program}
"""


def test_what_another_process_did_not_do_while_the_instance_lived_is_not_judged(tmp_path: Path) -> None:
    """The launcher of a recording lives on, and the end of the instance proves nothing about it."""
    text = ORDER + OF_OTHERS
    found = judged(write_trace(tmp_path / "t.jsonl", launch(LIFE)), "image=a.exe", text=text)
    assert found.outcome is Outcome.RIG
    (verdict,) = [each.verdict for each in found.instances]
    assert verdict.reason.startswith("not judged: ordered.yaml:")
    assert "not found: process_exit {pid: $launcher = 4}" in verdict.reason
    assert "an event of another process" in verdict.hint


def test_what_the_instance_itself_breaks_outweighs_what_another_process_did_not_do(tmp_path: Path) -> None:
    before, order = ORDER.split("expect:")
    text = f"{before}expect:{OF_OTHERS.rstrip()}{order}"
    found = judged(write_trace(tmp_path / "t.jsonl", launch(SWAPPED)), "image=a.exe", text=text)
    assert found.outcome is Outcome.BROKEN
    assert "not found: image_load {image: c.dll}" in found.instances[0].verdict.reason


def test_what_the_instance_forbids_is_broken_while_another_process_is_waited_for(tmp_path: Path) -> None:
    text = ORDER + OF_OTHERS.replace(
        "      - process_exit: {pid: $launcher}", "      - next: {process_exit: {pid: $launcher}}"
    )
    found = judged(write_trace(tmp_path / "t.jsonl", launch(LIFE)), "image=a.exe", text=text)
    assert found.outcome is Outcome.BROKEN


def test_a_recording_without_an_end_is_judged_as_far_as_instances_are_whole(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", [*launch(LIFE), *launch(LIFE, 2000)[:4]], complete=False)
    found = judged(trace, "image=a.exe")
    assert (found.outcome, len(found.instances)) == (Outcome.PASSED, 1)
    assert sum(found.found.left_out.values()) == 1


def test_lines_of_other_processes_are_not_lost(tmp_path: Path) -> None:
    events = interleaved(launch(LIFE, 1000), launch(LIFE, 2000), launch("+ z.exe -", 3000))
    numbered = [msgspec.structs.replace(event, seq=event.index) for event in events]
    found = judged(write_trace(tmp_path / "t.jsonl", numbered), "image=a.exe")
    assert outcomes(found) == [Outcome.PASSED, Outcome.PASSED]
    for each in found.instances:
        assert (each.verdict.loss, each.verdict.notes) == (found.recording.loss, ())
    assert found.recording.loss.complete


def test_what_the_whole_recording_breaks_outweighs_the_instances(tmp_path: Path) -> None:
    crash = Bugcheck(index=0, code=0x3B, parameters=(0, 0, 0, 0))
    found = judged(write_trace(tmp_path / "t.jsonl", [*launch(LIFE), crash]), "image=a.exe")
    assert (found.outcome, found.instances) == (Outcome.BUGCHECK, ())
    twice = [*launch(LIFE)[:4], *launch(LIFE, 1000)[:1], *launch(LIFE, 2000)]
    found = judged(write_trace(tmp_path / "twice.jsonl", twice), "image=a.exe")
    assert (found.outcome, found.instances) == (Outcome.BROKEN, ())
    assert found.recording.reason.startswith("process_created_once")


def test_the_step_that_launches_the_program_says_what_is_bound(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", launch(LIFE))
    other = ORDER.replace("image: a.exe,", "image: other.exe,")
    with pytest.raises(UsageError, match=r"no step of ordered.yaml outside of a repeat launches a.exe"):
        judged(trace, "image=a.exe", text=other)
    names = ("program=1000", "program.tid=1001", "launcher=4")
    assert judged(trace, "image=a.exe", text=other, bind=names).outcome is Outcome.PASSED
    twice = ORDER.replace("expect:", "  - launch: {image: A.EXE, as: other}\nexpect:")
    with pytest.raises(UsageError, match="2 steps"):
        judged(trace, "image=a.exe", text=twice)


def test_a_window_between_lines_is_judged_with_names_given_by_hand(tmp_path: Path) -> None:
    def said(text: str) -> Event:
        return Print(index=0, line=text)

    events = [*launch(SWAPPED, 2000), said("go"), *launch(LIFE), said("stop"), *launch(SWAPPED, 3000)]
    names = ("program=1000", "program.tid=1001", "launcher=4")
    found = judged(write_trace(tmp_path / "t.jsonl", events), "marker=go...stop", bind=names)
    assert outcomes(found) == [Outcome.PASSED]


def test_no_instance_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no whole instance of image=a\.exe"):
        judged(write_trace(tmp_path / "t.jsonl", launch("+ t c.exe -")), "image=a.exe")


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = write_trace(tmp_path / "t.jsonl", [*launch(LIFE), *launch(LIFE)])
    monkeypatch.setattr(perinstance, "MAX_HELD", 7)
    assert judged(trace, "image=a.exe").outcome is Outcome.PASSED
    monkeypatch.setattr(perinstance, "MAX_HELD", 6)
    with pytest.raises(TraceError, match="spans more than 6 events"):
        judged(trace, "image=a.exe")
    monkeypatch.setattr(perinstance, "MAX_JUDGED", 1)
    with pytest.raises(UsageError, match="more than 1 instances"):
        judged(trace, "image=a.exe")
