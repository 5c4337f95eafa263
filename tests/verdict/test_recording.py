"""A recording's own word on itself: how it ended, what it counts; its parts, and names for what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from lives import born, died, thread
from traces import entry, image, placed, scenario

from harness.errors import TraceError, UsageError
from harness.events import Bugcheck, Event, Marker, Print, Stop
from harness.outcome import Outcome
from harness.scenario import parse
from harness.trace import Header, LossReport, TraceReader, TraceWriter
from harness.trace.sources import open_trace
from harness.verdict.judge import Verdict
from harness.verdict.part import bound_by_hand, part_between
from harness.verdict.recording import judge_recording

NAMED = parse(
    "scenario: s\nsummary: s.\nsteps:\n  - launch: {image: a.exe, as: notepad}\n"
    "expect:\n  order:\n    - process_create: {pid: $notepad}\n    - process_exit: {pid: $notepad}\n",
    Path("s.yaml"),
)


def recorded(path: Path, events: list[Event], **footer: object) -> Path:
    trace = path / "t.jsonl"
    with TraceWriter(trace, Header()) as writer:
        writer.write(placed(events))
        writer.finish()
    lines = trace.read_bytes().splitlines(keepends=True)
    said = msgspec.json.decode(lines[-1]) | footer
    said = {key: value for key, value in said.items() if value != "gone"}
    trace.write_bytes(b"".join([*lines[:-1], msgspec.json.encode(said) + b"\n"]))
    return trace


def judged(trace: Path, **given: object) -> Verdict:
    return judge_recording(open_trace(trace), scenario(), **given)  # type: ignore[arg-type]


HANG = "a callback did not return"
FOOTERS = [
    # Format 2: the footer says whether the capture came to its end; what its events mean is judged.
    pytest.param({"complete": True, "outcome": "passed"}, Outcome.PASSED, "", id="whole"),
    pytest.param(
        {"complete": True, "outcome": "rig failed"}, Outcome.PASSED, "", id="whole, lines were lost"
    ),
    pytest.param(
        {"complete": False, "outcome": "rig failed", "reason": "no link"}, Outcome.RIG, "no link", id="rig"
    ),
    pytest.param({"complete": False, "outcome": "interrupted"}, Outcome.RIG, "interrupted", id="interrupted"),
    pytest.param(
        {"complete": False, "outcome": "broken promise", "reason": HANG}, Outcome.BROKEN, HANG, id="hang"
    ),
    pytest.param({"complete": False, "outcome": "passed"}, Outcome.RIG, "passed", id="early and passed"),
    pytest.param({"complete": False, "outcome": "wrong input"}, Outcome.RIG, "wrong input", id="wrong input"),
    pytest.param({"complete": False, "outcome": None}, Outcome.RIG, "ended early", id="early"),
    # Format 1 has the words only.
    pytest.param({"complete": "gone", "outcome": "passed"}, Outcome.PASSED, "", id="1: passed"),
    pytest.param({"complete": "gone", "outcome": "broken promise"}, Outcome.PASSED, "", id="1: broken"),
    pytest.param(
        {"complete": "gone", "outcome": "rig failed"}, Outcome.RIG, "rig failed", id="1: rig failed"
    ),
    pytest.param(
        {"complete": "gone", "outcome": "interrupted"}, Outcome.RIG, "interrupted", id="1: interrupted"
    ),
    pytest.param({"complete": "gone", "outcome": "fine"}, Outcome.RIG, "fine", id="1: unknown words"),
    pytest.param({"complete": "gone", "outcome": None}, Outcome.PASSED, "", id="1: nothing said"),
    # Losses are counted again.
    pytest.param({"loss": {"lost": 5, "miscounted": ["x"]}}, Outcome.PASSED, "", id="a loss that is none"),
]


@pytest.mark.parametrize(("footer", "outcome", "words"), FOOTERS)
def test_the_footers_word(tmp_path: Path, footer: dict[str, object], outcome: Outcome, words: str) -> None:
    verdict = judged(recorded(tmp_path, [image()], **footer))
    assert verdict.outcome is outcome, verdict
    assert words in verdict.reason


def test_a_loss_that_the_footer_denies_is_found(tmp_path: Path) -> None:
    trace = recorded(tmp_path, [image(seq=1), image(seq=3)], loss=msgspec.to_builtins(LossReport()))
    assert "seq 2" in judged(trace).reason


@pytest.mark.parametrize("counts", [{}, {"image_load": 2}, {"image_load": 1, "bugcheck": 1}])
def test_a_footer_that_counts_something_else_is_damage(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(
        TraceError, match=r"the footer counts \d \w+, the trace holds \d; the file was changed"
    ):
        judged(recorded(tmp_path, [image()], counts=counts))


def test_a_trace_without_a_footer_is_judged_in_part_when_asked(tmp_path: Path) -> None:
    trace = recorded(tmp_path, [image()])
    lines = trace.read_bytes().splitlines(keepends=True)
    trace.write_bytes(b"".join(lines[:-1]))
    assert judged(trace).outcome is Outcome.RIG
    verdict = judged(trace, partial=True)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.partial == "the recording has no footer, so it may have been cut off"


def step(number: int, phase: str = "begin") -> Event:
    line = f"[actor] {phase} launch id={number} pid=4"
    return Marker(index=0, line=line, action="launch", phase=phase, step=number, pid=4)  # type: ignore[arg-type]


LONG = [
    entry(),
    died(7),
    step(1),
    born(8),
    step(2),
    died(8),
    step(2, "end"),
    born(12),
    died(12),
    thread(5, 8),
]
"""Broken as a whole: a thread of a process that has ended."""
PARTS = [
    pytest.param(
        ("begin launch id=1", "end launch id=2"), "notepad=8", Outcome.PASSED, id="a part that holds"
    ),
    pytest.param(
        ("begin launch id=1", "end launch id=2"), "notepad=12", Outcome.BROKEN, id="another process"
    ),
    pytest.param(("end launch", "ProcessExit 8"), "notepad=0xc", Outcome.PASSED, id="any line is a marker"),
    pytest.param((None, "end launch id=2"), "notepad=8", Outcome.PASSED, id="from the beginning"),
    pytest.param(("begin launch id=2", None), "notepad=12", Outcome.BROKEN, id="to the end"),
    pytest.param((None, None), "notepad=8", Outcome.BROKEN, id="all of it"),
]


@pytest.mark.parametrize(("ends", "bind", "outcome"), PARTS)
def test_a_part_of_a_recording(
    tmp_path: Path, ends: tuple[str | None, str | None], bind: str, outcome: Outcome
) -> None:
    trace = recorded(tmp_path, LONG)
    verdict = judge_recording(open_trace(trace), NAMED, bind=[bind], first=ends[0], last=ends[1])
    assert verdict.outcome is outcome, verdict


def test_a_part_that_has_its_end_is_whole_however_the_recording_ended(tmp_path: Path) -> None:
    trace = recorded(tmp_path, LONG, complete=False, outcome="rig failed")
    part = {"bind": ["notepad=8"], "first": "begin launch id=1"}
    assert judge_recording(open_trace(trace), NAMED, last="end launch id=2", **part).outcome is Outcome.PASSED
    assert judge_recording(open_trace(trace), NAMED, **part).outcome is Outcome.RIG


AFTER = {
    "a bugcheck": (Bugcheck(index=0, code=0xD1, parameters=(0, 0, 0, 0)), Outcome.BUGCHECK),
    "an exception that nothing handled": (
        Stop(index=0, code=0xC0000005, address=0x1000, first_chance=False),
        Outcome.BROKEN,
    ),
    "an exception that was handled": (
        Stop(index=0, code=0xC0000005, address=0x1000, first_chance=True),
        Outcome.PASSED,
    ),
}


@pytest.mark.parametrize(("event", "outcome"), AFTER.values(), ids=AFTER)
def test_what_the_driver_did_to_the_target_outside_the_part_is_not_passed_over(
    tmp_path: Path, event: Event, outcome: Outcome
) -> None:
    trace = recorded(tmp_path, [*LONG, event])
    part = {"bind": ["notepad=8"], "first": "begin launch id=1", "last": "end launch id=2"}
    assert judge_recording(open_trace(trace), NAMED, **part).outcome is outcome


def test_a_line_that_comes_late_is_not_lost_in_a_part(tmp_path: Path) -> None:
    """Two processors print at once: a line of the part arrives after the marker that ends it, or before."""
    first, last = step(1), step(2)
    for late in (
        [first, born(8, seq=1, time=1), died(8, seq=3, time=3), last, image(seq=2, time=2)],
        [image(seq=2, time=2), first, born(8, seq=1, time=1), died(8, seq=3, time=3), last],
    ):
        trace = recorded(tmp_path, late)
        part = {"bind": ["notepad=8"], "first": "begin launch id=1", "last": "begin launch id=2"}
        assert judge_recording(open_trace(trace), NAMED, **part).outcome is Outcome.PASSED
        missing = recorded(tmp_path, [event for event in late if event.seq != 2])
        verdict = judge_recording(open_trace(missing), NAMED, **part)
        assert verdict.outcome is Outcome.RIG
        assert "seq 2" in verdict.reason


@pytest.mark.parametrize(
    ("more", "passes"), [({}, 1), ({f"other[{n}]": n for n in range(9_000)}, 2)], ids=["small", "large"]
)
def test_the_footers_names_are_known_before_the_events_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, int], passes: int
) -> None:
    """A footer too long to be found beforehand costs a second pass, and gives the same verdict."""
    done: list[Path] = []

    def chunks(reader: TraceReader) -> Iterator[list[Event]]:
        done.append(reader.path)
        return read(reader)

    read = TraceReader.chunks
    monkeypatch.setattr(TraceReader, "chunks", chunks)
    trace = recorded(tmp_path, [born(8), died(8)], bindings={"notepad": 8, **more})
    assert judge_recording(open_trace(trace), NAMED).outcome is Outcome.PASSED
    assert len(done) == passes


def test_a_binding_outweighs_the_footers(tmp_path: Path) -> None:
    trace = recorded(tmp_path, [born(8), died(8)], bindings={"notepad": 9})
    assert judge_recording(open_trace(trace), NAMED).outcome is Outcome.BROKEN
    assert judge_recording(open_trace(trace), NAMED, bind=["notepad=8"]).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("nowhere", None, "no line of the recording holds 'nowhere'; --from takes text of a line"),
        (None, "nowhere", "no line of the recording holds 'nowhere'; --to takes"),
        ("b", "a", "no line of the recording after the one with 'b' holds 'a'"),
        ("a", "a", "no line of the recording after the one with 'a' holds 'a'"),
    ],
)
def test_a_part_that_is_not_there(first: str | None, last: str | None, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        part_between([Print(index=0, line="a"), Print(index=1, line="b")], first, last)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["notpad=8"], "s.yaml uses no name 'notpad'; did you mean 'notepad'?"),
        (["x=8"], "s.yaml uses no name 'x'; it uses agent, notepad, notepad.tid"),
        (["notepad"], "'notepad' is no binding; write name=PID"),
        (["notepad=-1"], "'notepad=-1' is no binding"),
        (["notepad=99999999999"], "'notepad=99999999999' is no binding"),
        (["notepad=8", "notepad=9"], "'notepad' is bound twice"),
    ],
)
def test_a_binding_that_is_none(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        bound_by_hand(NAMED, texts)
    assert str(caught.value).startswith(said)


def test_names_that_can_be_bound() -> None:
    assert bound_by_hand(NAMED, ["notepad=8", "notepad.tid=0x10"]) == {"notepad": 8, "notepad.tid": 16}
    rounds = parse(
        "scenario: s\nsummary: s.\nsteps:\n  - repeat:\n      times: 2\n      steps:\n"
        "        - launch: {image: a.exe, as: n}\n"
        "expect:\n  order:\n    - repeat: {of: [process_create: {pid: $n}], min: 2}\n",
        Path("s.yaml"),
    )
    assert bound_by_hand(rounds, ["n[1]=8", "n[2]=12"]) == {"n[1]": 8, "n[2]": 12}
    with pytest.raises(UsageError, match="uses no name"):
        bound_by_hand(rounds, ["n[3]=8"])
