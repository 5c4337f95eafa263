"""Whatever bytes stand in a trace file: it is read, or it is an error of the trace."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import TraceError
from harness.events import KINDS, Event, Print, ProcessCreate
from harness.trace import Footer, Header, TraceReader, TraceWriter

FUZZ = settings(
    derandomize=True,
    database=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HEADER = b'{"kind":"header","format":1}\n'

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
names = sorted({name for kind in (*KINDS.values(), Header, Footer) for name in kind.__struct_fields__})
records = st.dictionaries(st.sampled_from(names), values, max_size=6)
kinds = st.sampled_from([*KINDS, "header", "footer", "none"])


@st.composite
def almost_lines(draw: st.DrawFn) -> bytes:
    """Lines that look like those of a trace, numbered as they should be."""
    lines = []
    for index in range(draw(st.integers(0, 4))):
        record = {"kind": draw(kinds), "index": index, **draw(records)}
        lines.append(json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    return b"\n".join(lines)[: draw(st.none() | st.integers(1, 400))]


def reads_or_refuses(path: Path, data: bytes) -> list[Event] | None:
    path.write_bytes(data)
    try:
        reader = TraceReader(path)
        events = list(reader)
    except TraceError as error:
        assert str(error).startswith(f"{path}:")
        assert str(error).removeprefix(str(path)).isprintable()
        return None
    assert [event.index for event in events] == list(range(len(events)))
    assert reader.footer is None or reader.footer.events == len(events)
    return events


@settings(FUZZ)
@given(data=st.binary(max_size=300) | almost_lines())
@example(data=b"[" * 10_000)
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    reads_or_refuses(tmp_path / "t.jsonl", data)


@settings(FUZZ)
@given(data=st.binary(max_size=300) | almost_lines())
@example(data=b'{"kind":"print","index":0,"x":' + b"[" * 10_000)
@example(data=b'{"kind":"print","index":0,"line":"\xe2\x82')
def test_any_bytes_after_a_header(tmp_path: Path, data: bytes) -> None:
    reads_or_refuses(tmp_path / "t.jsonl", HEADER + data)


@settings(FUZZ)
@given(data=st.data())
def test_a_trace_with_some_bytes_replaced_holds_its_events_or_fewer(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "t.jsonl"
    with TraceWriter(path, Header()) as writer:
        writer.write(
            [ProcessCreate(index=0, pid=8, parent_pid=4, line="born"), Print(index=1, line="x\u20ac")]
        )
        writer.finish(bindings={"app": 8})
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    middle = data.draw(st.binary(max_size=8))
    changed = whole[:start] + middle + whole[start + data.draw(st.integers(0, 8)) :]
    events = reads_or_refuses(path, changed)
    assert events is None or len(events) <= 3
