"""DbgPrint text becomes lines, lines become events: the grammar, split lines, hostile text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.events import (
    Bugcheck,
    Driver,
    ImageLoad,
    Marker,
    Print,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
    Totals,
)
from harness.lines import MAX_LINE, MAX_OPEN_SPLITS, MAX_PART, EventAssembler, LineAssembler, parse

TAIL = " {seq=7 t=123456789 cpu=1 by=4.8}"
TIMED = {"seq": 7, "time": 123456789, "cpu": 1}
CONTEXT = {"context_pid": 4, "context_tid": 8}

BODIES = [
    (
        "PPID(4) created PID(76)",
        ProcessCreate,
        {"parent_pid": 4, "pid": 76},
        ("creating_pid", "creating_tid"),
    ),
    ("PID(76) was terminated", ProcessExit, {"pid": 76}, ("context_pid", "context_tid")),
    (
        "TID(80) was created in PID(76) by PID(4)",
        ThreadCreate,
        {"tid": 80, "pid": 76, "creating_pid": 4},
        ("creating_pid", "creating_tid"),
    ),
    (
        "TID(80) in PID(76) was terminated",
        ThreadExit,
        {"tid": 80, "pid": 76},
        ("context_pid", "context_tid"),
    ),
    (
        r"PID(0) loaded a/an \SystemRoot\system32\drivers\blue.sys at 0xF8660000",
        ImageLoad,
        {"pid": 0, "image": r"\SystemRoot\system32\drivers\blue.sys", "base": 0xF8660000},
        ("context_pid", "context_tid"),
    ),
    (
        r"PID(76) loaded a/an \Device\HarddiskVolume3\Program Files\Prüfung at 0x1 {x}\a b.exe"
        " at 0x00007FF700000000",
        ImageLoad,
        {
            "pid": 76,
            "image": r"\Device\HarddiskVolume3\Program Files\Prüfung at 0x1 {x}\a b.exe",
            "base": 0x7FF700000000,
        },
        ("context_pid", "context_tid"),
    ),
    (
        "PID(76) loaded a/an (null) at 0x00400000",
        ImageLoad,
        {"pid": 76, "image": None, "base": 0x400000},
        ("context_pid", "context_tid"),
    ),
    (
        "PsSetCreateProcessNotifyRoutine success",
        Driver,
        {"function": "F", "routine": "PsSetCreateProcessNotifyRoutine", "status": 0},
        None,
    ),
    (
        "- PsSetLoadImageNotifyRoutine failed (status: 0xc000009a)",
        Driver,
        {"function": "F", "routine": "PsSetLoadImageNotifyRoutine", "status": 0xC000009A},
        None,
    ),
    (
        "totals process_create=1 process_exit=2 thread_create=3 thread_exit=4 image_load=5",
        Driver,
        {
            "function": "F",
            "totals": Totals(process_create=1, process_exit=2, thread_create=3, thread_exit=4, image_load=5),
        },
        None,
    ),
]


@pytest.mark.parametrize(("body", "kind", "fields", "by"), BODIES, ids=[b[0][:40] for b in BODIES])
@pytest.mark.parametrize("tail", ["", TAIL])
def test_grammar_with_and_without_our_tail(body, kind, fields, by, tail):
    line = f"[procnotify] F {body}{tail}"
    expected = dict(fields)
    if tail:
        expected |= TIMED
        if by is not None:
            expected = dict(zip(by, (4, 8), strict=True)) | expected
    assert parse(line, 3) == kind(index=3, line=line, **expected)


def test_image_size_from_the_tail():
    line = (
        r"[procnotify] OnImageNotify PID(8) loaded a/an \a.dll at 0x10 {seq=1 t=2 cpu=0 by=8.12 size=0x1000}"
    )
    event = parse(line, 0)
    assert isinstance(event, ImageLoad)
    assert (event.size, event.context_pid, event.context_tid) == (0x1000, 8, 12)


@pytest.mark.parametrize("function", ["DriverEntry", "My_Routine2", "Filter::OnProcess", "A::~A"])
def test_any_function_identifier(function):
    assert isinstance(parse(f"[procnotify] {function} PID(1) was terminated", 0), ProcessExit)


def test_markers():
    begin = parse("[actor] begin create-remote-thread id=3 pid=100", 0)
    assert begin == Marker(
        index=0,
        line="[actor] begin create-remote-thread id=3 pid=100",
        action="create-remote-thread",
        phase="begin",
        step=3,
        pid=100,
    )
    end = parse("[actor] end launch id=3 pid=100 status=5", 0)
    assert isinstance(end, Marker)
    assert (end.phase, end.status) == ("end", 5)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[procnotify]",
        "[procnotify] ",
        "procnotify] F PID(1) was terminated",
        " [procnotify] F PID(1) was terminated",
        "[procnotify] F PID(1) was terminated ",
        "[procnotify] F PID(1) was terminated!",
        "[procnotify] F PID(-1) was terminated",
        "[procnotify] F PID(0x1) was terminated",
        "[procnotify] F PID(\N{ARABIC-INDIC DIGIT ONE}) was terminated",
        "[procnotify] 2F PID(1) was terminated",
        "[procnotify] F G PID(1) was terminated",
        "[procnotify] F PID(18446744073709551616) was terminated",
        "[procnotify] F PID(999999999999999999999999) was terminated",
        "[procnotify] F PID(1) was terminated {seq=1 t=2 cpu=0 by=4.8",
        "[procnotify] F PID(1) was terminated {seq=1 t=99999999999999999999 cpu=0 by=4.8}",
        "[procnotify] F PID(1) was terminated {seq=1 t=2 cpu=0 by=4.8 size=0x10}",
        r"[procnotify] F PID(1) loaded an \a.dll at 0x10",
        r"[procnotify] F PID(1) loaded a/an \a.dll at 0x",
        r"[procnotify] F PID(1) loaded a/an \a.dll at 0x12345678123456789",
        "[procnotify] F X failed (status: 0x1)",
        "[procnotify] F totals process_create=1",
        "[actor] begin launch id=3 pid=100 status=0",
        "[actor] end launch id=3 pid=100",
        "[actor] dll attach pid=200",
        "*** Fatal System Error: 0x000000ce",
    ],
)
def test_what_does_not_fit_to_the_last_character_is_a_print(line):
    assert parse(line, 5) == Print(index=5, line=line)


@given(st.text(max_size=200) | st.text(alphabet="[procnotify] FPID(0123)wasterminated{seq=}", max_size=120))
@example("[procnotify] F PID(1) was terminated\x00")
def test_no_text_raises(text):
    assert parse(text, 0).line == text


GRAMMAR_LINES = [f"[procnotify] F {body[0]}{TAIL}" for body in BODIES]


@pytest.mark.parametrize("line", GRAMMAR_LINES)
def test_every_truncation_of_a_line_is_a_print_or_the_line_without_its_tail(line):
    bare = line.removesuffix(TAIL)
    for end in range(len(line)):
        event = parse(line[:end], 0)
        digits_cut = isinstance(event, ImageLoad | Driver) and bare.startswith(line[:end])
        assert isinstance(event, Print) or line[:end] == bare or digits_cut


@given(st.data())
def test_lines_do_not_depend_on_where_prints_are_cut(data):
    # Fragments that do not start with one of our tags: those always start a line.
    texts = data.draw(st.lists(st.text(alphabet="ab \t.", min_size=1, max_size=8), max_size=8))
    stream = "\n".join(texts) + "\n"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    assembler = LineAssembler()
    lines = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += assembler.feed(stream[start:end])
    assert [line.text for line in lines] == texts
    assert assembler.flush() == []


def test_one_print_may_hold_several_lines_and_part_of_one():
    assembler = LineAssembler()
    assert [line.text for line in assembler.feed("a\r\n\nb\nc", 1.0)] == ["a", "b"]
    assert assembler.feed("d", 2.0) == []
    assert assembler.feed("\n", 3.0) == [("cd", 3.0)]


def test_only_newline_ends_a_line():
    assert [line.text for line in LineAssembler().feed("a\x0bb\x85c\u2028d\re\n")] == [
        "a\x0bb\x85c\u2028d\re"
    ]


def test_our_line_starts_a_line_whatever_was_left_unfinished():
    assembler = LineAssembler()
    assembler.feed("err:")
    lines = assembler.feed("[procnotify] F PID(1) was terminated\n")
    assert [line.text for line in lines] == ["err:", "[procnotify] F PID(1) was terminated"]


def test_an_overlong_line_is_cut_and_says_so():
    assembler = LineAssembler()
    assembler.feed("x" * MAX_LINE)
    assembler.feed("y" * 30)
    (line,) = assembler.feed("z\n")
    assert line.text == "x" * MAX_LINE + " ... (31 more characters)"
    # The end of an overlong line cannot pass for a line of the driver.
    flood = "x" * MAX_LINE + "[procnotify] F PID(1) was terminated\n"
    assert isinstance(EventAssembler().feed(flood)[0], Print)


def split(line: str, seq: int, size: int) -> list[str]:
    body = line.removeprefix("[procnotify] ")
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [f"[procnotify] part({n}/{len(pieces)}) seq({seq}) {p}\n" for n, p in enumerate(pieces, 1)]


LONG = [
    rf"[procnotify] OnImageNotify PID(8) loaded a/an \{'long folder) '[:-1] * 40}\a{n}.dll at 0x10 "
    f"{{seq={n} t=5 cpu={n} by=8.12 size=0x1000}}"
    for n in (1, 2)
]


@given(st.permutations([*split(LONG[0], 1, 100), *split(LONG[1], 2, 90)]))
def test_split_lines_join_in_whatever_order_their_parts_arrive(parts):
    assembler = EventAssembler()
    events = [event for part in parts for event in assembler.feed(part)]
    assert {event.line for event in events} == set(LONG)
    assert all(isinstance(event, ImageLoad) for event in events)
    assert assembler.flush() == []


def test_parts_that_never_become_whole_are_kept_as_prints():
    parts = split(LONG[0], 1, 100)
    assembler = EventAssembler()
    for part in parts[:-1]:
        assert assembler.feed(part) == []
    assert [event.line + "\n" for event in assembler.flush()] == parts[:-1]


@pytest.mark.parametrize(
    "part",
    [
        "part(0/2) seq(1) x",
        "part(3/2) seq(1) x",
        "part(1/999) seq(1) x",
        "part(1/2) seq(1) " + "x" * MAX_PART,
    ],
)
def test_impossible_parts_are_prints(part):
    assert isinstance(EventAssembler().feed(f"[procnotify] {part}\n")[0], Print)


def test_a_repeated_part_is_not_taken_for_another():
    parts = split(LONG[0], 1, 300)
    assembler = EventAssembler()
    assembler.feed(parts[0])
    assert isinstance(assembler.feed(parts[0])[0], Print)
    assert isinstance(assembler.feed(parts[1])[0], ImageLoad)


def test_open_splits_are_bounded():
    assembler = LineAssembler()
    for seq in range(MAX_OPEN_SPLITS):
        assert assembler.feed(f"[procnotify] part(1/2) seq({seq}) x\n") == []
    given_up = assembler.feed("[procnotify] part(1/2) seq(1000) x\n")
    assert [line.text for line in given_up] == ["[procnotify] part(1/2) seq(0) x"]


def test_events_are_numbered_and_a_bugcheck_comes_after_what_was_unfinished():
    assembler = EventAssembler()
    events = assembler.feed("a\n[procnotify] F PID(1) was terminated\nrest", 1.5)
    events += assembler.bugcheck(0xCE, (1, 2, 3, 4), "faulty.sys", 2.5)
    events += assembler.feed("b\n")
    assert [event.index for event in events] == [0, 1, 2, 3, 4]
    assert [type(event) for event in events] == [Print, ProcessExit, Print, Bugcheck, Print]
    assert [event.host_time for event in events] == [1.5, 1.5, 2.5, 2.5, None]


def test_half_a_surrogate_pair_does_not_reach_the_trace():
    (event,) = EventAssembler().feed("a\ud83db\N{GRINNING FACE}\n")
    assert event.line == "a?b\N{GRINNING FACE}"
