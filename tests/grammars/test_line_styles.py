"""How drivers print: each style has a grammar, DbgPrint calls, and the events they are (golden files)."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.events import Event
from harness.grammars import builtin_grammar, load_grammar
from harness.grammars.overlap import sample_line
from harness.lines import EventAssembler, Field, Form, Grammar
from harness.lines.template import values_of
from harness.trace.format import encode

HERE = Path(__file__).resolve().parent / "styles"
STYLES = sorted(path.stem for path in HERE.glob("*.yaml"))
GRAMMARS = {name: load_grammar(HERE / f"{name}.yaml") for name in STYLES} | {"ours": builtin_grammar()}
FORMS = [(grammar, form) for grammar in GRAMMARS.values() for form in grammar.forms if not form.regex]


def events_of(grammar: Grammar, name: str) -> list[Event]:
    assembler = EventAssembler(grammar)
    events: list[Event] = []
    for line in (HERE / f"{name}.prints.jsonl").read_text(encoding="utf-8").splitlines():
        processor, text = json.loads(line)
        events += assembler.feed_bytes(text.encode(grammar.encoding), None, processor)
    return events + assembler.flush()


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_read_to_its_events(name: str, update: bool) -> None:
    golden = HERE / f"{name}.events.jsonl"
    found = b"".join(map(encode, events_of(GRAMMARS[name], name)))
    if update:
        golden.write_bytes(found)
    assert found == golden.read_bytes()


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_grammar_goes_to_other_processes(name: str) -> None:
    """It is part of a scenario, and runs are spread over processes."""
    again = pickle.loads(pickle.dumps(GRAMMARS[name]))
    for form, copy in zip(GRAMMARS[name].forms, again.forms, strict=True):
        line = sample_line(form)
        assert line is None or copy.fields(line) == form.fields(line)


def _texts(item: Field) -> st.SearchStrategy[str]:
    """Texts that fit a field."""
    if values := values_of(item):
        return st.sampled_from(sorted(values))
    if item.words in ("a decimal number", "a hexadecimal number"):
        return st.integers(0, (1 << 32) - 1).map(str)
    if "hexadecimal" in item.words:
        return st.integers(0, (1 << 64) - 1).map(hex)
    if item.words in ("an identifier", "a word"):
        return st.sampled_from(["Alpha", "b2", "PsSetLoadImageNotifyRoutine"])
    if item.words.startswith("counters"):
        return st.just("process=1 odd_one=2")
    return st.text("aZ0 .\\:[{(<'>)}],=").filter(lambda text: not item.end or item.end not in text)


@given(st.sampled_from(FORMS), st.data())
def test_a_line_made_from_a_form_says_what_it_was_made_of(
    chosen: tuple[Grammar, Form], data: st.DataObject
) -> None:
    """Or a form before it reads it, never one behind it."""
    grammar, form = chosen
    line, values = "", dict(form.constants)
    for piece in form.pieces:
        if isinstance(piece, str):
            line += piece
            continue
        text = data.draw(_texts(piece))
        line += piece.before + text
        if piece.name:
            values[piece.name] = piece.convert(text)
    reading = grammar.fitting(line)
    assert form in reading
    if reading[0] is not form:
        assert grammar.forms.index(reading[0]) < grammar.forms.index(form)
    if not any(isinstance(piece, Field) and piece.free for piece in form.pieces):
        assert form.fields(line) == values


@given(st.text(), st.sampled_from(sorted(GRAMMARS)))
def test_any_text_is_read_to_its_last_character(text: str, name: str) -> None:
    assembler = EventAssembler(GRAMMARS[name])
    events = assembler.feed(f"{text}\n") + assembler.flush()
    kept = "".join(event.line for event in events)
    encodable = text.encode("utf-8", "replace").decode()
    assert kept.replace("\n", "").replace("\r", "") == encodable.replace("\n", "").replace("\r", "")
    for event in events:
        GRAMMARS[name].misfit(event.line)
        GRAMMARS[name].claims(event.line)
