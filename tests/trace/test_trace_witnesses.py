"""A trace that holds what several witnesses saw: each is read by itself."""

from __future__ import annotations

from pathlib import Path

from harness.events import (
    Bugcheck,
    Call,
    Driver,
    Event,
    Marker,
    Print,
    ProcessCreate,
    ThreadExit,
    WitnessName,
)
from harness.trace import Header, LossCounter, TraceReader, TraceWriter, encode
from harness.trace.witness import SeenBy

CALL = Call(driver="my.sys", routine=0x1000, irql=0, left=120)
PRINTED: list[Event] = [
    ProcessCreate(index=0, seq=1, line="created", pid=8),
    Print(index=1, line="something else"),
    Driver(index=2, seq=2, function="DriverUnload", totals={"process_create": 1}),
    Bugcheck(index=3, code=0xCE, parameters=(1, 2, 3, 4)),
]
SEEN: list[Event] = [
    Marker(index=4, action="launch", phase="begin", step=1, pid=4, witness="target"),
    ProcessCreate(index=5, time=100, pid=8, witness="target", call=CALL),
    ThreadExit(index=6, time=110, pid=8, tid=12, witness="target", call=CALL),
]


def indices(witness: WitnessName) -> list[int]:
    return [event.index for event in SeenBy([*PRINTED, *SEEN], witness)]


def test_each_witness_has_its_events_and_what_befell_the_target() -> None:
    assert indices("print") == [0, 1, 2, 3]
    assert indices("target") == [3, 4, 5, 6]
    assert indices("breakpoint") == [3]


def test_a_line_without_another_witness_is_written_as_ever() -> None:
    assert b"witness" not in encode(PRINTED[0]) and b"call" not in encode(PRINTED[0])
    assert encode(SEEN[1]) == (
        b'{"kind":"process_create","pid":8,"index":5,"time":100,"witness":"target",'
        b'"call":{"driver":"my.sys","routine":4096,"irql":0,"left":120}}\n'
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, Header()) as writer:
        writer.write([*PRINTED, *SEEN])
        writer.finish(witness="target")
    reader = TraceReader(path)
    assert list(reader) == [*PRINTED, *SEEN]
    assert reader.footer is not None
    assert reader.footer.witness == "target"
    assert reader.footer.counts["process_create"] == 2
    assert not reader.footer.loss.uncounted, "what the target saw is no line behind the totals"


def test_only_lines_are_lost_or_counted() -> None:
    one, batch = LossCounter(), LossCounter()
    mixed = [PRINTED[0], *SEEN, Driver(index=7, seq=2, function="U", totals={"process_create": 1})]
    for event in mixed:
        one.add(event)
    batch.add_all(mixed[:4])
    batch.add_all(mixed[4:])
    assert one.report() == batch.report() == LossCounter().report()
