"""Lines and calls in, a grammar and doubts out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.events import Call, Event, ProcessCreate, ProcessExit, ThreadCreate
from harness.grammars import parse_grammar
from harness.learning import PROGRAM, HeardCall, HeardPrint, HeardRun, Learnt, learn
from harness.learning.atoms import cut

CALL = Call(driver="x.sys", routine=0x1000, irql=0)
FOLDER = "\\Device\\HarddiskVolume3\\Program Files (x86)\\"
PIDS = (1552, 1640, 2044, 4100, 812)


def learnt(*printed: tuple[Event, str]) -> Learnt:
    calls = [
        HeardCall(event, {PROGRAM: event.image} if getattr(event, "image", "") else {})
        for event, _ in printed
    ]
    prints = [HeardPrint(text.encode(), 0, number, False) for number, (_, text) in enumerate(printed)]
    return learn([HeardRun(1, calls, prints)], "x", origin="a test")


def created(pid: int, *, parent: int = 8, creator: int = 9, image: str = "a.exe") -> ProcessCreate:
    return ProcessCreate(
        index=0, call=CALL, pid=pid, parent_pid=parent, creating_pid=creator, image=FOLDER + image
    )


def forms(found: Learnt) -> list[str]:
    return [entry.text for entry in found.entries]


def test_two_fields_that_are_always_the_same_are_not_told_apart() -> None:
    found = learnt(
        *((created(pid, parent=pid + 4, creator=pid + 4), f"{pid} of {pid + 4}\n") for pid in PIDS)
    )
    assert forms(found) == ["{pid:d} of {:x}"]
    assert "creating_pid or parent_pid: they were always the same" in found.doubts[0]


def test_three_lines_are_too_few() -> None:
    found = learnt(*((created(pid), f"made {pid}\n") for pid in PIDS[:3]))
    assert not found.entries
    assert "there were too few lines to tell" in found.doubts[0]


def test_one_line_that_disagrees_makes_a_field_unknown() -> None:
    found = learnt(*((created(pid), f"made {pid}\n") for pid in PIDS), (created(77), "made 78\n"))
    assert not found.entries
    assert "what the number '1552' is" in found.doubts[0]


def test_small_numbers_may_be_decimal_or_hexadecimal() -> None:
    found = learnt(*((created(pid), f"made {pid}\n") for pid in (4, 5, 6, 7)))
    assert not found.entries
    assert "is decimal or hexadecimal" in found.doubts[0]


@pytest.mark.parametrize(
    ("shown", "form"),
    [
        ("{name}", "({image:path}) {pid:d}"),
        ("C:\\Program Files (x86)\\{name}", "({image:path}) {pid:d}"),
        ("\\??\\C:\\Program Files (x86)\\{name}", "({image:path}) {pid:d}"),
        (FOLDER + "{name}", "({image:path}) {pid:d}"),
    ],
)
def test_a_program_is_known_by_any_of_its_paths(shown: str, form: str) -> None:
    found = learnt(
        *(
            (created(pid, image=f"p{pid}.exe"), f"({shown.format(name=f'p{pid}.exe')}) {pid}\n")
            for pid in PIDS
        )
    )
    assert forms(found) == [form]
    assert not found.doubts
    assert found.complete


def test_a_line_that_any_kind_prints_is_no_form() -> None:
    exits = ((ProcessExit(index=0, call=CALL, pid=pid), f"process {pid}\n") for pid in PIDS)
    found = learnt(*((created(pid), f"process {pid}\n") for pid in PIDS), *exits)
    assert not found.entries
    assert len(found.doubts) == 2


def test_text_outside_of_callbacks_that_looks_like_a_report_takes_the_form_away() -> None:
    run = HeardRun(
        1,
        [HeardCall(created(pid), {}) for pid in PIDS],
        [
            *(HeardPrint(f"made {pid}\n".encode(), 0, number, False) for number, pid in enumerate(PIDS)),
            HeardPrint(b"made 5\n", 0, None, True),
        ],
    )
    found = learn([run], "x", origin="a test")
    assert not found.entries
    assert any("is printed outside of all callbacks, too" in doubt for doubt in found.doubts)


LITERAL = st.text("aZ {}[]():=,.%\\\"'#-<>äß", min_size=1, max_size=12).filter(
    lambda text: not text.isspace()
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(LITERAL, min_size=3, max_size=3),
    st.permutations(("pid", "tid", "creating_pid", "creating_tid")),
    st.lists(st.sampled_from(("{}", "0x{:x}", "{:016X}")), min_size=2, max_size=2),
    st.lists(st.integers(16, 1 << 31), min_size=24, max_size=24, unique=True),
)
def test_what_is_learnt_is_right_or_not_known(
    literals: list[str], names: list[str], shown: list[str], numbers: list[int]
) -> None:
    """Whatever the format: every line of it that is read has the values that it was printed with."""
    printed: list[tuple[Event, str]] = []
    for row in range(6):
        values = dict(zip(("pid", "tid", "creating_pid", "creating_tid"), numbers[row * 4 :], strict=False))
        first, second = (form.format(values[name]) for form, name in zip(shown, names, strict=False))
        line = f"{literals[0]}{first}{literals[1]}{second}{literals[2]}\n"
        printed.append((ThreadCreate(index=0, call=CALL, **values), line))
    found = learnt(*printed)
    if not found.entries:
        assert found.doubts
        return
    grammar = parse_grammar(found.text, Path("x.yaml"))
    for event, line in printed:
        told = grammar.parse(line.removesuffix("\n"), 0)
        for name in found.entries[0].fields:
            assert getattr(told, name) == getattr(event, name)
    assert set(found.entries[0].fields) <= set(names[:2])


@given(st.text(max_size=60), st.sampled_from(("", FOLDER + "a.exe", "a", "\\", "ß.exe")))
def test_the_atoms_of_a_line_are_the_line(line: str, path: str) -> None:
    assert "".join(atom.text for atom in cut(line, {PROGRAM: path})) == line


def test_a_line_that_says_nothing_new_is_ignored_whatever_it_says() -> None:
    found = learnt(
        *(
            (
                ThreadCreate(index=0, call=CALL, pid=pid, tid=2 * pid, creating_pid=8, creating_tid=9),
                f"thread {2 * pid} begins in {pid}\n({2 * pid} again)\n",
            )
            for pid in PIDS
        )
    )
    assert forms(found) == ["thread {tid:d} begins in {pid:d}"]
    assert '"({:d} again)"' in found.text
