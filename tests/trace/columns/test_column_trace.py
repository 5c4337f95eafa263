"""A trace as a Parquet table is the same when it is read back, whatever its events are; and bad tables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.errors import RigError, TraceError
from harness.events import KINDS, Call, Event, ImageLoad, Print, ProcessCreate
from harness.trace import Header, TraceWriter
from harness.trace.columns import COLUMNS, ColumnStore, ColumnTrace
from harness.trace.columns import store as store_module
from harness.trace.columns.schema import columns_of
from harness.trace.conversion import convert
from harness.trace.format import encode
from harness.trace.sources import open_trace

pytestmark = pytest.mark.usefixtures("pyarrow")
UNSIGNED = {"address", "base", "code", "size", "status"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def of_type(name: str, annotation: Any) -> st.SearchStrategy[Any]:
    """Whatever a field may hold."""
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of([of_type(name, part) for part in get_args(annotation)])
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation is int:
        return st.integers(0, 2**64 - 1) if name in UNSIGNED else st.integers(-(2**63), 2**63 - 1)
    known: dict[Any, st.SearchStrategy[Any]] = {
        type(None): st.none(),
        str: TEXT,
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        Call: st.builds(
            Call, driver=TEXT, routine=st.integers(0, 2**64 - 1), irql=st.none() | st.integers(0, 2)
        ),
        dict[str, int]: st.dictionaries(TEXT, st.integers(0, 9), max_size=3),
        tuple[int, int, int, int]: st.tuples(*[st.integers(0, 2**64 - 1)] * 4),
    }
    return known[annotation]


def of_kind(kind: type[Event]) -> st.SearchStrategy[Event]:
    fields = {f.name: of_type(f.name, f.type) for f in msgspec.structs.fields(kind) if f.name != "index"}
    return st.builds(kind, index=st.just(0), **fields)


EVENTS = st.lists(st.one_of([of_kind(kind) for kind in KINDS.values()]), max_size=12).map(
    lambda events: [msgspec.structs.replace(event, index=n) for n, event in enumerate(events)]
)
HEADER = Header(scenario="s", target={"build": "19045"})


def written(path: Path, events: list[Event], *, finish: bool = True) -> Path:
    with TraceWriter(path, HEADER, ColumnStore) as writer:
        writer.write(events)
        if finish:
            writer.finish(outcome="passed", bindings={"notepad": 8})
    return path


@settings(
    derandomize=True,
    database=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=EVENTS, rows=st.integers(1, 5))
def test_what_is_written_is_read_back(tmp_path: Path, events: list[Event], rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "ROWS", rows)  # several row groups, the last of them not full
        trace = open_trace(written(tmp_path / "t.parquet", events))
    assert isinstance(trace, ColumnTrace)
    assert trace.header == HEADER
    assert b"".join(map(encode, trace)) == b"".join(map(encode, events))
    assert trace.footer is not None
    assert (trace.footer.events, trace.footer.bindings) == (len(events), {"notepad": 8})


def test_convert_there_and_back_gives_the_same_file(tmp_path: Path) -> None:
    first = tmp_path / "a.jsonl"
    with TraceWriter(first, HEADER) as writer:
        writer.write([ProcessCreate(index=0, pid=8, line="born"), Print(index=1, line="x\u20ac")])
        writer.finish(outcome="passed", ended="2026-01-01")
    convert(open_trace(first), tmp_path / "b.PARQUET")
    convert(open_trace(tmp_path / "b.PARQUET"), tmp_path / "c.jsonl")
    assert (tmp_path / "c.jsonl").read_bytes() == first.read_bytes()


def test_a_trace_without_a_footer_stays_one(tmp_path: Path) -> None:
    trace = open_trace(written(tmp_path / "t.parquet", [Print(index=0, line="x")], finish=False))
    assert list(trace) == [Print(index=0, line="x")] and trace.footer is None


def test_every_field_of_every_kind_has_a_column() -> None:
    assert {(kind, name) for name, _, kinds in COLUMNS for kind in kinds} == {
        (kind, field) for kind, event in KINDS.items() for field in event.__struct_fields__
    }


def test_a_field_of_two_types_is_refused() -> None:
    one = msgspec.defstruct("One", [("size", int)])
    other = msgspec.defstruct("Other", [("size", str)])
    with pytest.raises(TypeError, match="size is uint64 and string"):
        columns_of({"one": one, "other": other})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Print(index=1, seq=2**63), "events 0 to 1 has a seq that does not fit"),
        (ImageLoad(index=1, base=-1), "events 0 to 1 has a base that does not fit"),
    ],
)
def test_a_number_that_does_not_fit_is_named(tmp_path: Path, event: Event, words: str) -> None:
    source = tmp_path / "t.jsonl"
    with TraceWriter(source, HEADER) as writer:
        writer.write([Print(index=0), event])
        writer.finish()
    with pytest.raises(TraceError, match=words):
        convert(open_trace(source), tmp_path / "t.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]


def test_a_file_cut_off_anywhere_is_a_trace_error(tmp_path: Path) -> None:
    whole = written(tmp_path / "t.parquet", [Print(index=0, line="x"), Print(index=1, line="y")]).read_bytes()
    cut = tmp_path / "cut.parquet"
    for length in range(4, len(whole), 97):
        cut.write_bytes(whole[:length])
        with pytest.raises(TraceError, match="cannot be read as Parquet"):
            open_trace(cut)


@settings(
    derandomize=True,
    database=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_replaced_bytes_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "t.parquet"
    if not path.exists():
        written(path, [ProcessCreate(index=0, pid=8, line="born"), Print(index=1, line="x")])
        path.rename(tmp_path / "whole")
    damaged = bytearray((tmp_path / "whole").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(damaged)
    try:
        trace = open_trace(bad)
        events = list(trace)
    except TraceError as error:
        assert str(error).startswith(f"{bad}:")
        assert str(error).removeprefix(str(bad)).isprintable()
    else:
        assert [event.index for event in events] == list(range(len(events)))


Table = Callable[[ModuleType], Any]


def _table(metadata: dict[bytes, bytes], **columns: list[object]) -> Table:
    return lambda arrow: arrow.table(columns).replace_schema_metadata(metadata)


GOOD = {b"procnotify.header": encode(HEADER)}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (_table({}, kind=["print"]), "a Parquet table, but not of a trace"),
        (_table({b"procnotify.header": b"{"}, kind=["print"]), "damaged header"),
        (_table({b"procnotify.header": b'{"kind":"header","format":99}'}), "has format 99"),
        (_table(GOOD, kind=["print"]), "Object missing required field `index`"),
        (_table(GOOD, kind=["print"], index=[7]), "damaged behind event 0: event 7 stands there"),
        (_table(GOOD, kind=["party"], index=[0]), "Invalid value 'party'"),
        (_table(GOOD, kind=[1], index=[0]), "damaged behind event 0"),
        (_table(GOOD, kind=["driver"], index=[0], function=["x"], totals=["{"]), "totals: "),
        (_table(GOOD, kind=["print"], index=["0"]), "Expected `int`, got `str`"),
    ],
)
def test_a_table_that_is_no_trace_says_why(
    tmp_path: Path, pyarrow: ModuleType, table: Table, words: str
) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(table(pyarrow), path)
    with pytest.raises(TraceError) as caught:
        list(open_trace(path))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_footer_that_counts_otherwise_is_damage(tmp_path: Path, pyarrow: ModuleType) -> None:
    path = written(tmp_path / "t.parquet", [Print(index=0), Print(index=1)])
    metadata = pyarrow.parquet.read_metadata(path).metadata
    table = pyarrow.parquet.read_table(path).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table.slice(0, 1), path)
    with pytest.raises(TraceError, match="the footer counts 2 events, the file holds 1"):
        list(open_trace(path))


def test_a_small_file_of_one_long_text_in_many_rows_stays_small(tmp_path: Path, pyarrow: ModuleType) -> None:
    rows, long = 5000, "x" * (1 << 20)  # 5 GB of text
    path = tmp_path / "t.parquet"
    arrow = pyarrow
    lines = arrow.DictionaryArray.from_arrays(arrow.array([0] * rows, arrow.int32()), arrow.array([long]))
    table = arrow.table({"kind": ["print"] * rows, "index": range(rows), "line": lines})
    arrow.parquet.write_table(table.replace_schema_metadata(GOOD), path)
    assert path.stat().st_size < 2 << 20
    lines_seen = {id(event.line) for event in open_trace(path)}
    assert len(lines_seen) <= 2


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t.parquet", [Print(index=0)])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RigError, match=r"pip install 'procnotify\[columns\]'"):
        open_trace(path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a device that is always full")
@pytest.mark.parametrize("lines", [1, 20_000])
def test_a_full_disk_is_said(lines: int) -> None:
    with (
        pytest.raises(TraceError, match="cannot write the trace /dev/full: No space left on device"),
        TraceWriter(Path("/dev/full"), HEADER, ColumnStore) as writer,
    ):
        writer.write(Print(index=n, line=str(n * 7919)) for n in range(lines))
        writer.finish()
