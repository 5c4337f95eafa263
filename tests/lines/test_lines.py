"""DbgPrint text becomes lines, lines become events: the grammar, split lines, hostile text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.callbacks import COUNTERS
from harness.events import (
    Bugcheck,
    Driver,
    Event,
    ImageLoad,
    Marker,
    Print,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
)
from harness.grammars import builtin_grammar
from harness.lines import (
    MAX_LINE,
    MAX_OPEN_LINES,
    MAX_OPEN_SPLITS,
    MAX_PART,
    EventAssembler,
    Field,
    Form,
    Grammar,
    LineAssembler,
)

parse = builtin_grammar().parse
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
            "totals": dict(zip(COUNTERS, range(1, 6), strict=True)),
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
        r"[procnotify] F PID(1) loaded an \a.dll at 0x10",
        r"[procnotify] F PID(1) loaded a/an \a.dll at 0x",
        r"[procnotify] F PID(1) loaded a/an \a.dll at 0x12345678123456789",
        "[procnotify] F X failed (status: 0x1)",
        "[procnotify] F totals",
        "[procnotify] F totals process_create=",
        "[procnotify] F totals process_create=1 process_create=1",
        "[procnotify] F totals process_create=1  process_exit=1",
        "[procnotify] F totals process_create=18446744073709551616",
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
    assembler = LineAssembler(builtin_grammar())
    lines = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += assembler.feed(stream[start:end])
    assert [line.text for line in lines] == texts
    assert assembler.flush() == []


def test_one_print_may_hold_several_lines_and_part_of_one():
    assembler = LineAssembler(builtin_grammar())
    assert [line.text for line in assembler.feed("a\r\n\nb\nc", 1.0)] == ["a", "b"]
    assert assembler.feed("d", 2.0) == []
    assert assembler.feed("\n", 3.0) == [("cd", 3.0, None)]


def test_only_newline_ends_a_line():
    assert [line.text for line in LineAssembler(builtin_grammar()).feed("a\x0bb\x85c\u2028d\re\n")] == [
        "a\x0bb\x85c\u2028d\re"
    ]


def test_our_line_starts_a_line_whatever_was_left_unfinished():
    assembler = LineAssembler(builtin_grammar())
    assembler.feed("err:")
    lines = assembler.feed("[procnotify] F PID(1) was terminated\n")
    assert [line.text for line in lines] == ["err:", "[procnotify] F PID(1) was terminated"]


def test_an_overlong_line_is_cut_and_says_so():
    assembler = LineAssembler(builtin_grammar())
    assembler.feed("x" * MAX_LINE)
    assembler.feed("y" * 30)
    (line,) = assembler.feed("z\n")
    assert line.text == "x" * MAX_LINE + " ... (31 more characters)"
    # The end of an overlong line cannot pass for a line of the driver.
    flood = "x" * MAX_LINE + "[procnotify] F PID(1) was terminated\n"
    assert isinstance(EventAssembler(builtin_grammar()).feed(flood)[0], Print)


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
    assembler = EventAssembler(builtin_grammar())
    events = [event for part in parts for event in assembler.feed(part)]
    assert {event.line for event in events} == set(LONG)
    assert all(isinstance(event, ImageLoad) for event in events)
    assert assembler.flush() == []


def test_parts_that_never_become_whole_are_kept_as_prints():
    parts = split(LONG[0], 1, 100)
    assembler = EventAssembler(builtin_grammar())
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
    assert isinstance(EventAssembler(builtin_grammar()).feed(f"[procnotify] {part}\n")[0], Print)


def test_a_repeated_part_is_not_taken_for_another():
    parts = split(LONG[0], 1, 300)
    assembler = EventAssembler(builtin_grammar())
    assembler.feed(parts[0])
    assert isinstance(assembler.feed(parts[0])[0], Print)
    assert isinstance(assembler.feed(parts[1])[0], ImageLoad)


def test_open_splits_are_bounded():
    assembler = LineAssembler(builtin_grammar())
    for seq in range(MAX_OPEN_SPLITS):
        assert assembler.feed(f"[procnotify] part(1/2) seq({seq}) x\n") == []
    given_up = assembler.feed("[procnotify] part(1/2) seq(1000) x\n")
    assert [line.text for line in given_up] == ["[procnotify] part(1/2) seq(0) x"]


def test_events_are_numbered_and_a_bugcheck_comes_after_what_was_unfinished():
    assembler = EventAssembler(builtin_grammar())
    events = assembler.feed("a\n[procnotify] F PID(1) was terminated\nrest", 1.5)
    events += assembler.bugcheck(0xCE, (1, 2, 3, 4), "faulty.sys", 0x10, 2.5)
    events += assembler.feed("b\n")
    assert [event.index for event in events] == [0, 1, 2, 3, 4]
    assert [type(event) for event in events] == [Print, ProcessExit, Print, Bugcheck, Print]
    assert [event.host_time for event in events] == [1.5, 1.5, 2.5, 2.5, None]


def test_half_a_surrogate_pair_does_not_reach_the_trace():
    (event,) = EventAssembler(builtin_grammar()).feed("a\ud83db\N{GRINNING FACE}\n")
    assert event.line == "a?b\N{GRINNING FACE}"


# --- the pieces of a line ---

PIECES = [
    (0, "[procnotify] OnImageNotify PID(8) loaded a/an \\Device\\a"),
    (1, "[procnotify] OnImageNotify PID(12) loaded a/an \\Device\\b"),
    (0, ".dll at 0x00007FF600000000\n"),
    (1, ".dll at 0x00007FF700000000\n"),
]


def fed(assembler: EventAssembler, pieces: list[tuple[int | None, str]]) -> list[Event]:
    events = [event for processor, text in pieces for event in assembler.feed(text, None, processor)]
    return events + assembler.flush()


@given(
    st.permutations(PIECES).filter(lambda p: all(p.index(PIECES[n]) < p.index(PIECES[n + 2]) for n in (0, 1)))
)
def test_pieces_of_two_processors_join_by_processor(pieces):
    events = fed(EventAssembler(builtin_grammar()), pieces)
    assert {(event.pid, event.image, event.base) for event in events} == {
        (8, r"\Device\a.dll", 0x7FF600000000),
        (12, r"\Device\b.dll", 0x7FF700000000),
    }


def test_pieces_whose_processor_is_not_told_never_become_an_event_that_was_not_printed():
    assembler = EventAssembler(builtin_grammar())
    events = fed(assembler, [(None, text) for _, text in PIECES])
    assert [type(event) for event in events] == [Print] * 4
    # ... and once both lines have ended, pieces are joined again
    whole = fed(assembler, [(None, PIECES[0][1]), (None, PIECES[2][1])])
    assert [type(event) for event in whole] == [ImageLoad]


def test_a_processor_that_breaks_off_its_own_line_is_not_trusted_with_the_rest():
    """A callback may be interrupted between two prints by another one on the same processor."""
    events = fed(EventAssembler(builtin_grammar()), [(0, text) for _, text in PIECES])
    assert [type(event) for event in events] == [Print] * 4


def test_lines_without_line_ends_are_whole():
    lines = [f"[procnotify] F PID({pid}) was terminated" for pid in range(1, 200)]
    events = fed(EventAssembler(builtin_grammar()), [(None, line) for line in lines])
    assert [event.line for event in events] == lines
    assert {type(event) for event in events} == {ProcessExit}


def test_a_rest_that_never_comes_does_not_part_all_later_lines():
    assembler = EventAssembler(builtin_grammar())
    fed_twice = [(None, PIECES[0][1]), (None, PIECES[1][1])]
    for processor, text in [*fed_twice, *[(None, "[procnotify] F PID(1) was terminated\n")] * 70]:
        assembler.feed(text, None, processor)
    assert [type(event) for event in fed(assembler, [(None, PIECES[0][1]), (None, PIECES[2][1])])] == [
        ImageLoad
    ]


def test_open_lines_are_bounded():
    assembler = LineAssembler(builtin_grammar())
    for processor in range(MAX_OPEN_LINES):
        assert assembler.feed("half", None, processor) == []
    assert [line.text for line in assembler.feed("more", None, MAX_OPEN_LINES)] == ["half"]
    assert len(assembler.flush()) == MAX_OPEN_LINES


# --- what does not fit ---

MISFITS = [
    ("hello", "fits thread_create up to character 1, where '[procnotify] ' is expected"),
    ("[procnotify] F PID(-1) was terminated", "character 20, where a decimal number is expected"),
    ("[procnotify] F PID(1) was terminate", "fits process_exit up to character 36, where 'd' is expected"),
    (
        r"[procnotify] F PID(1) loaded a/an \a.dll at 123",
        "fits image_load up to character 45, where '0x' and hexadecimal digits is expected",
    ),
    (r"[procnotify] F PID(1) loaded a/an \a.dll", "fits image_load up to character 41, where ' at ' is"),
    ("[procnotify] F PID(18446744073709551616) was terminated", "character 20, where a number of 64 bits"),
    ("[procnotify] F totals a=1 a=2", "fits driver up to character 23, where one counter a is expected"),
    (
        "[procnotify] F PID(1) was terminated {seq=1 t=2 cpu=0}",
        "fits process_exit up to character 54, where ' by=' is expected",
    ),
    (
        "[procnotify] F PID(1) was terminated!",
        "fits process_exit up to character 37, where the end of the line is",
    ),
    ("[actor] begin launch id=x", "fits marker up to character 25, where a decimal number is expected"),
]


@pytest.mark.parametrize(("line", "said"), MISFITS)
def test_where_a_line_stopped_fitting_the_nearest_form(line, said):
    assert isinstance(parse(line, 0), Print)
    assert said in str(builtin_grammar().misfit(line))


@given(st.sampled_from([f"[procnotify] F {body[0]}{TAIL}" for body in BODIES]), st.data())
def test_a_changed_character_is_where_a_line_stops_fitting_or_before_it(line, data):
    place = data.draw(st.integers(0, len(line) - 1))
    broken = line[:place] + "\x00" + line[place + 1 :]
    if not isinstance(parse(broken, 0), Print):
        return  # inside an image's path
    assert len("[procnotify] ") * (place > 13) <= builtin_grammar().misfit(broken).position <= len(line) + 1


def test_a_line_of_another_form_keeps_the_number_that_its_tail_carries():
    event = parse(f"[procnotify] OnRegistry key opened{TAIL}", 3)
    assert event == Print(index=3, line=f"[procnotify] OnRegistry key opened{TAIL}", **TIMED)
    more = "[procnotify] F PID(1) was terminated {seq=7 t=123456789 cpu=1 by=4.8 size=0x10}"
    assert parse(more, 0) == Print(index=0, line=more, **TIMED)
    assert parse("[procnotify] F x {seq=7 t=99999999999999999999 cpu=1 by=4.8}", 0).seq is None


# --- another driver's lines ---

WATCHER = Grammar(
    "watcher",
    (Form(ProcessExit, ("watch: gone ", Field("pid", "[0-9]{1,10}", int, "a process ID"))),),
)


def test_another_grammar_reads_other_lines():
    assembler = EventAssembler(WATCHER)
    events = assembler.feed("half[procnotify] F PID(1) was terminated\nwatch: gone 12\nwatch: gone x\n")
    assert [type(event) for event in events] == [Print, ProcessExit, Print]
    assert str(WATCHER.misfit("watch: gone x")) == (
        "fits process_exit up to character 13, where a process ID is expected"
    )
    # Its own tag begins a line; ours does not.
    assembler.feed("half ")
    assert [event.line for event in assembler.feed("watch: gone 13\n")] == ["half ", "watch: gone 13"]
    assembler = EventAssembler(WATCHER)
    assembler.feed("half ")
    assert [event.line for event in assembler.feed("[procnotify] x\n")] == ["half [procnotify] x"]
