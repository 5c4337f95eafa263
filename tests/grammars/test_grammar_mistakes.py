"""Mistakes in a line grammar file are told with their line and the way out; costs are bounded."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GrammarError
from harness.events import Print, ProcessExit
from harness.grammars import builtin_grammar, described, load_grammar, parse_grammar, recorded_grammar
from harness.grammars.read import MAX_FORMS, MAX_GRAMMAR
from harness.lines import MAX_LINE, MAX_RECORD_WAIT, EventAssembler, Grammar
from harness.lines.grammar import MAX_AMBIGUOUS_LINE, MAX_REGEX_LINE
from harness.lines.regexes import MAX_REGEX, RegexError, check_regex
from harness.lines.template import MAX_TEMPLATE

HEAD = "lines: mine\nforms:\n"
GONE = "  - process_exit: '{pid:d}'\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(GrammarError) as raised:
        parse_grammar(text, Path("mine.yaml"))
    return [str(mistake) for mistake in raised.value.mistakes]


def grammar(*forms: str, head: str = "lines: mine\n") -> Grammar:
    return parse_grammar(f"{head}forms:\n" + "".join(f"  - {form}\n" for form in forms), Path("mine.yaml"))


FORM = [
    ('process_exit: "gone {pd:d}"', "character 6: there is no field 'pd' here; did you mean 'pid'?"),
    ('process_exit: "gone {pid}"', "character 6: 'pid' is a number of what base?; write {pid:d} or {pid:x}"),
    ('process_exit: "gone {pid:word}"', "'pid' is a number"),
    ('process_exit: "gone {pid:hex}"', "unknown type 'hex'"),
    ('process_exit: "gone {image:d} {pid:d}"', "'image' is a text"),
    ('process_exit: "gone {pid:d"', "character 6: a placeholder that does not end"),
    ('process_exit: "gone {pid:d}}"', "a '}' that ends nothing; write }} for the character"),
    ('process_exit: "gone {pid:d} {pid:d}"', "a second 'pid'"),
    ('process_exit: "gone {:word}"', "process_exit lacks 'pid'"),
    ('process_exit: "gone {pid:d}{:d}"', "where 'pid' ends and a decimal number begins"),
    ('process_exit: "{image:path}{pid:d}"', "nobody can tell where 'image' ends"),
    ('process_exit: "{image:until ]}) {pid:d}"', "'image' reads up to ']', and something else"),
    ('process_exit: "{image} {:skip} {:skip} {pid:d}"', "3 placeholders take any text; 2 are allowed"),
    ('process_exit: "{? a}{pid:d}"', "an optional part without a placeholder"),
    ('process_exit: "gone{? {pid:d}}"', "process_exit lacks 'pid'"),
    ('proces_exit: "gone {pid:d}"', "unknown kind of event 'proces_exit'; did you"),
    ('event: "gone {pid:d}"', "no word says what kind of event it is"),
    ('event: "{kind:gone=process_exi} {pid:d}"', "unknown kind of event 'process_exi'; did"),
    ('event: "{kind:a=process_exit|b=process_create} {pid:d} {size:d}"', "process_exit has no field 'size'"),
    ('driver: "ok"', "driver lacks 'function'"),
    ('{driver: "ok", constants: {function: a, funktion: a}}', "unknown key 'funktion' in constants"),
    ('{process_create: "p", then: ["{pid:d}", "x{pid:d}"]}', "'pid' comes twice in the record"),
    ('{process_create: "p", then: [{optional: "{pid:d}"}]}', "process_create lacks 'pid'"),
    ("process_exit: {regex: '(?P<pid>[0-9]+'}", "not a regular expression"),
    ("process_exit: {regex: '(?P<pd>[0-9]{1,9})'}", "there is no field 'pd' here; did you mean 'pid'?"),
    ("process_exit: {regex: '(?P<pid>(?:[0-9]+)+)'}", "a repetition of what repeats itself"),
    ("process_exit: {regex: '(?P<pid>[0-9]{1,9})', hex: [tid]}", "the regex has no number 'tid'"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "said"), FORM)
def test_a_mistake_in_a_form_is_told_with_its_line(form: str, said: str) -> None:
    (told,) = mistakes(f"{HEAD}  - {form}\n")
    assert told.startswith("mine.yaml:3: ") and said in told


FILE = [
    ("forms: []\n", "mine.yaml:1: line grammar lacks 'lines'"),
    ("lines: My Driver\nforms:\n  - process_exit: '{pid:d}'\n", "is not a name for a line grammar"),
    (f"encoding: utf-16\n{HEAD}{GONE}", "mine.yaml:1: unknown encoding 'utf-16'"),
    (f"unit: word\n{HEAD}{GONE}", "mine.yaml:1: unknown unit 'word'"),
    (f"parts: '{{part:d}} {{piece}}'\n{HEAD}{GONE}", "parts lack {parts}"),
    (HEAD + "  - process_exit: '{pid:d}'\n" * (MAX_FORMS + 1), f"{MAX_FORMS} are allowed"),
    (f"{HEAD}  - process_exit: '{'x' * MAX_TEMPLATE}{{pid:d}}'\n", f"{MAX_TEMPLATE} are allowed"),
    (f"{HEAD}  - process_exit: '{{pid:d}}'\n#{'x' * MAX_GRAMMAR}", f"more than {MAX_GRAMMAR} bytes"),
    (f"{HEAD}  - process_exit: '{{image}} {{pid:d}}'\n  - process_exit: 'gone {{pid:d}}'\n",
     "mine.yaml:4: a line of this form, 'gone 7', is read by the form on line 3; put this form before"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), FILE)
def test_a_mistake_in_a_file_is_told_with_its_line(text: str, said: str) -> None:
    assert any(said in told for told in mistakes(text)), mistakes(text)


def test_all_mistakes_of_a_file_are_told() -> None:
    assert len(mistakes(f"{HEAD}  - process_exit: 'a{{pd:d}}'\n  - thread_exit: 'b{{tid}}'\n")) == 2


def test_a_file_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(GrammarError, match=r"none\.yaml:1: cannot be read"):
        load_grammar(tmp_path / "none.yaml")


@given(st.text(st.sampled_from("{}?:|=]a dxpi_0\\\n"), max_size=60))
def test_any_text_is_a_form_or_a_mistake(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("\n", "\\n")
    try:
        read = grammar(f'process_exit: "{quoted}{{pid:d}}"')
    except GrammarError:
        return
    assert isinstance(read.parse("x", 0), Print)


@given(st.text(st.sampled_from("ab.[]()|?*+{}1,\\^$P<>:pid-"), max_size=40))
def test_a_regex_that_is_taken_ends_soon(text: str) -> None:
    try:
        pattern = check_regex(text)
    except RegexError:
        return
    began = time.process_time()
    for line in ("a" * MAX_REGEX_LINE, "ab" * (MAX_REGEX_LINE // 2), "1," * (MAX_REGEX_LINE // 2)):
        pattern.fullmatch(line)
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "text",
    [*("(a+)+", "(a|b)*c", "(?:a*b?)*", "a*a*a*", "(?=a)", r"(a)\1", "(?i)a", "(?:){2000}", "[0-9]+" * 3),
     "x" * (MAX_REGEX + 1), "[[a]"],
)  # fmt: skip
def test_a_regex_whose_cost_nobody_bounds_is_refused(text: str) -> None:
    with pytest.raises(RegexError):
        check_regex(text)


def test_the_worst_regex_and_the_worst_form_end_soon() -> None:
    slow = grammar("process_exit: {regex: '.*a.*(?P<pid>[0-9])'}", "process_exit: '{image} {:skip} {pid:d}!'")
    for line in ("a" * MAX_REGEX_LINE, " " * MAX_AMBIGUOUS_LINE, "a " * (MAX_LINE // 2)):
        assert isinstance(slow.parse(line, 0), Print)
        slow.misfit(line)


def test_lines_longer_than_a_form_is_tried_on_are_left() -> None:
    read = grammar("process_exit: {regex: 'a*(?P<pid>[0-9])'}").parse
    assert isinstance(read("a" * (MAX_REGEX_LINE - 1) + "1", 0), ProcessExit)
    assert isinstance(read("a" * MAX_REGEX_LINE + "1", 0), Print)


def test_markers_are_read_whatever_the_grammar_says() -> None:
    greedy = grammar("process_exit: '[{image} pid={pid:d}'")
    (event,) = EventAssembler(greedy).feed("[actor] begin launch id=1 pid=8\n")
    assert event.line and type(event).__name__ == "Marker"


def test_a_record_that_is_not_finished_is_given_up() -> None:
    assembler = EventAssembler(grammar("{process_exit: 'gone', then: ['pid {pid:d}']}"))
    assert assembler.feed("gone\n") == []
    for _ in range(MAX_RECORD_WAIT):
        assert [event.line for event in assembler.feed("other\n")] == ["other"]
    assert [event.line for event in assembler.feed("other\n")] == ["gone", "other"]
    assert [type(event) for event in assembler.feed("pid 8\n")] == [Print]


def test_a_trace_says_by_which_grammar_it_was_read(tmp_path: Path) -> None:
    mine = grammar("process_exit: 'gone {pid:d}'")
    facts = described(mine)
    assert facts["name"] == "mine" and re.fullmatch("[0-9a-f]{64}", facts["sha256"])
    assert recorded_grammar(facts, tmp_path).parse("gone 7", 0) == mine.parse("gone 7", 0)
    assert "text" not in described(builtin_grammar())
    assert recorded_grammar(described(builtin_grammar()), tmp_path) is builtin_grammar()
