"""The trace file: what is written is read again, in a stream; damage is found with its place."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from this_system import DEV_FULL

from harness.callbacks import COUNTERS
from harness.errors import TraceError
from harness.events import Driver, Print, ProcessCreate, ThreadExit
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.trace import FORMAT, Header, TraceReader, TraceWriter
from harness.trace.writer import JsonLines

HEADER = Header(
    scenario="notepad-launch",
    machine={"type": "virtual", "profile": "win10-1903"},
    debugger="native 0.1",
    driver_sha256="ab" * 32,
    seed=7,
)
EVENTS = [
    Driver(index=0, seq=1, function="DriverEntry", routine="PsSetCreateProcessNotifyRoutine", status=0),
    ProcessCreate(index=1, seq=2, time=100, line="[procnotify] \u00e9 ...", pid=8, parent_pid=4),
    Print(index=2, line='anything "quoted" \\ \x00 \u2028'),
    ThreadExit(index=3, seq=3, time=200, pid=8, tid=12),
]


def write(path, events=EVENTS, *, finish=True, **footer):
    with TraceWriter(path, HEADER) as writer:
        writer.write(events)
        if finish:
            writer.finish(**footer)
    return path


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace.jsonl"


def test_what_is_written_is_read_again(trace):
    write(trace, outcome="passed", bindings={"notepad": 8})
    reader = TraceReader(trace)
    assert reader.header == HEADER
    assert list(reader) == EVENTS
    assert reader.footer is not None
    assert reader.footer.events == 4
    assert reader.footer.counts == {"driver": 1, "process_create": 1, "print": 1, "thread_exit": 1}
    assert reader.footer.bindings == {"notepad": 8}
    assert reader.footer.loss.complete


def test_what_the_end_of_a_file_looks_like_is_no_footer_before_the_events_were_read(trace):
    lines = write(trace, bindings={"notepad": 8}).read_bytes().splitlines(keepends=True)
    reader = TraceReader(trace)
    assert reader.footer is not None
    assert reader.footer.bindings == {"notepad": 8}
    trace.write_bytes(b"".join([lines[0], lines[-1]]))
    reader = TraceReader(trace)
    with pytest.raises(TraceError, match="the footer counts 4 events, the file holds 0"):
        list(reader)
    assert reader.footer is None
    trace.write_bytes(b"".join(lines[:-1]))
    assert TraceReader(trace).footer is None


def test_same_events_same_bytes(tmp_path):
    one = write(tmp_path / "1", bindings={"b": 1, "a": 2}).read_bytes()
    two = write(tmp_path / "2", bindings={"a": 2, "b": 1}).read_bytes()
    assert one == two
    assert one.endswith(b"\n")
    assert b"null" not in b"".join(one.splitlines()[1:-1])


def test_every_write_can_be_read_while_the_run_goes_on(trace):
    with TraceWriter(trace, HEADER) as writer:
        for number, event in enumerate(EVENTS, 1):
            writer.write([event])
            reader = TraceReader(trace)
            assert list(reader) == EVENTS[:number]
            assert reader.footer is None


@pytest.mark.parametrize("keep", ["nothing of the footer", "half of the footer", "half of an event"])
def test_a_file_that_was_cut_off_is_readable_and_says_so(trace, keep):
    lines = write(trace).read_bytes().splitlines(keepends=True)
    kept, count = {
        "nothing of the footer": (lines[:-1], 4),
        "half of the footer": ([*lines[:-1], lines[-1][:30]], 4),
        "half of an event": ([*lines[:-2], lines[-2][:20]], 3),
    }[keep]
    trace.write_bytes(b"".join(kept))
    reader = TraceReader(trace)
    assert list(reader) == EVENTS[:count]
    assert reader.footer is None


def test_a_trace_cut_at_every_byte_never_yields_a_wrong_event(trace):
    data = write(trace).read_bytes()
    header_end = data.index(b"\n")
    for end in range(header_end, len(data) - 1):
        trace.write_bytes(data[:end])
        reader = TraceReader(trace)
        events = list(reader)
        assert events == EVENTS[: len(events)]
        assert reader.footer is None


def lines_of(trace):
    return write(trace).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("damage", "place", "message"),
    [
        (lambda lines: [], 1, "the file is empty"),
        (lambda lines: [b"\x7fELF\x02\x01\n"], 1, "not a trace"),
        (lambda lines: [b'{"some": "json"}\n'], 1, "not a trace"),
        (lambda lines: [b"[1, 2]\n"], 1, "not a trace"),
        (lambda lines: [b"\xff\xfe\x00"], 1, "not a trace"),
        (lambda lines: [lines[0].replace(b'"format":5', b'"format":99'), *lines[1:]], 1, "format 99"),
        (lambda lines: [lines[0].replace(b'"seed":7', b'"seed":"x"'), *lines[1:]], 1, "damaged header"),
        (lambda lines: [lines[0], b"rubbish\n", *lines[1:]], 2, "damaged"),
        (lambda lines: [*lines[:2], b'{"kind":"process_create"}\n', *lines[3:]], 3, "damaged"),
        (lambda lines: [*lines[:2], b'{"kind":"no_such_kind"}\n', *lines[3:]], 3, "damaged"),
        (lambda lines: [*lines[:3], b'{"kind":"print","index":2,"line":"\xff"}\n', *lines[4:]], 4, "damaged"),
        (lambda lines: [*lines[:2], *lines[3:]], 3, "event 2 stands where event 1 is expected"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3, "event 0 stands where event 1 is expected"),
        (lambda lines: [*lines, lines[-1]], 7, "more after the footer"),
        (lambda lines: [*lines, lines[1]], 7, "more after the footer"),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(b'"events":4', b'"events":5')],
            6,
            "the footer counts 5 events, the file holds 4",
        ),
    ],
)
def test_damage_is_found_with_its_place(trace, damage, place, message):
    trace.write_bytes(b"".join(damage(lines_of(trace))))
    with pytest.raises(TraceError) as caught:
        list(TraceReader(trace))
    assert str(caught.value).startswith(f"{trace}:{place}: ")
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def test_blank_lines_are_read_over_and_counted(trace):
    lines = lines_of(trace)
    trace.write_bytes(b"".join([lines[0], b"\n\r\n", *lines[1:]]))
    assert list(TraceReader(trace)) == EVENTS
    trace.write_bytes(b"".join([lines[0], b"\n\n", *lines[1:3], b"rubbish\n", *lines[3:]]))
    with pytest.raises(TraceError, match=r":6: damaged: .*'rubbish'"):
        list(TraceReader(trace))


@pytest.mark.parametrize(
    ("first", "place", "message"),
    [
        pytest.param(b"[" * 1_000_000, 1, "not a trace: '[[[", id="the first line"),
        pytest.param(b'{"kind":"header","x":' + b"[" * 1_000_000, 1, "not a trace", id="a header"),
        pytest.param(
            b'{"kind":"header"}\n{"kind":"print","index":0,"x":' + b"[" * 1_000_000 + b"\n",
            2,
            "damaged: ",
            id="an event",
        ),
    ],
)
def test_what_is_nested_too_deep_is_an_error_of_the_trace(trace, first, place, message):
    trace.write_bytes(first)
    with pytest.raises(TraceError) as caught:
        list(TraceReader(trace))
    assert str(caught.value).startswith(f"{trace}:{place}: {message}")


def test_a_value_of_the_file_does_not_break_the_line_of_an_error(trace):
    trace.write_bytes(lines_of(trace)[0] + b'{"kind":"\\u001b[2J\\nx\\u202e"}\n')
    with pytest.raises(TraceError, match="Invalid value") as caught:
        list(TraceReader(trace))
    assert str(caught.value).isprintable()
    assert "\\x1b[2J\\nx\\u202e" in str(caught.value)


def test_a_missing_file_is_an_error_of_the_trace(tmp_path):
    with pytest.raises(TraceError, match="cannot be read"):
        TraceReader(tmp_path / "none")


def test_a_long_trace_comes_in_chunks_of_bounded_size(trace):
    count = 5_000
    write(trace, [Print(index=n, line="x" * 100) for n in range(count)])
    chunks = list(TraceReader(trace).chunks())
    assert sum(len(chunk) for chunk in chunks) == count
    assert max(len(chunk) for chunk in chunks) < count


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda line: b"rubbish\n", "damaged"),
        (lambda line: line[:40] + b"\n", "damaged"),
        (lambda line: line.replace(b"x", b"\xff", 1), "damaged"),
        (lambda line: line + line, "event 4000 stands where event 4001 is expected"),
        (lambda line: b"", "event 4001 stands where event 4000 is expected"),
    ],
    ids=["rubbish", "cut off", "no UTF-8", "twice", "missing"],
)
def test_damage_far_into_a_long_trace_is_found_with_its_place(trace, damage, message):
    """Lines are decoded many at a time; the place is still that of the one line."""
    write(trace, [Print(index=n, line="x" * 100) for n in range(5_000)])
    lines = trace.read_bytes().splitlines(keepends=True)
    place = 4_001  # below the header: the line of event 4000
    lines[place] = damage(lines[place])
    trace.write_bytes(b"".join(lines))
    seen = 0
    with pytest.raises(TraceError, match=message) as caught:
        for chunk in TraceReader(trace).chunks():
            seen += len(chunk)
    twice = message.startswith("event 4000")
    assert seen == 4_000 + twice  # all that stand before it
    wrong = place + 1 + twice
    assert str(caught.value).startswith(f"{trace}:{wrong}: ")


def test_an_endless_line_is_refused(trace):
    write(trace, finish=False)
    with trace.open("ab") as file:
        for _ in range(20):
            file.write(b'"' * (1 << 18))
    with pytest.raises(TraceError, match="a line of more than"):
        list(TraceReader(trace))


def test_any_text_of_the_target_survives(trace):
    events = EventAssembler(builtin_grammar()).feed("\x00\x1b[31m \ud800 \U0010ffff \x85 \u2028 \ufeff\n")
    write(trace, events)
    assert list(TraceReader(trace)) == events


def test_the_format_is_written_down():
    assert FORMAT == Header().format == 5


OLD = b"""\
{"kind":"header","format":1,"scenario":"one"}
{"kind":"driver","function":"DriverUnload","index":0,"totals":{"process_create":1,"process_exit":2,\
"thread_create":3,"thread_exit":4,"image_load":5}}
{"kind":"footer","events":1,"counts":{"driver":1},"loss":{"lost":1,"gaps":[[2,2]]},"outcome":"rig failed"}
"""


def test_a_trace_of_format_1_is_read(trace):
    trace.write_bytes(OLD)
    reader = TraceReader(trace)
    (event,) = reader
    assert event.totals == dict(zip(COUNTERS, range(1, 6), strict=True))
    assert reader.footer is not None
    assert (reader.footer.complete, reader.footer.outcome, reader.footer.loss.gaps) == (
        None,
        "rig failed",
        ((2, 2),),
    )


def test_totals_keep_the_order_of_the_line_and_every_counter(trace):
    counts = {"zeta": 1, "image_load": 2, "alpha": 3}
    with TraceWriter(trace, Header()) as writer:
        writer.write([Driver(index=0, function="DriverUnload", totals=counts)])
        writer.finish()
    assert b'"totals":{"zeta":1,"image_load":2,"alpha":3}' in trace.read_bytes()
    (event,) = TraceReader(trace)
    assert event.totals == counts


@DEV_FULL
def test_a_full_disk_is_the_rigs_and_one_line():
    with pytest.raises(TraceError, match=r"^cannot write the trace /dev/full: No space left on device$"):
        TraceWriter(Path("/dev/full"), HEADER)


class FullDisk(io.BytesIO):
    """A file that takes so many bytes."""

    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("events_fit", [False, True])
def test_a_disk_that_fills_up(trace, events_fit):
    writer = TraceWriter(trace, HEADER)
    writer._file.close()
    writer._file = disk = FullDisk()
    writer._store = JsonLines(disk)
    disk.room = 10_000 if events_fit else 0
    said = f"cannot write the trace {trace}: No space left on device"
    with pytest.raises(TraceError) as caught:
        writer.write(EVENTS)
        disk.room = 0
        writer.finish()
    assert str(caught.value) == said
    # It is said once: what follows (the target's last lines, for example) tries nothing, and closes.
    writer.write(EVENTS)
    assert writer.finish().events == 2 * len(EVENTS)
    assert disk.closed


def test_totals_survive(trace):
    totals = dict.fromkeys(COUNTERS, 0)
    events = [Driver(index=0, function="DriverUnload", totals=totals)]
    write(trace, events)
    assert list(TraceReader(trace)) == events
