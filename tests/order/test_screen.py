"""The quick first look holds back no event that the search would have used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios_of import HEAD, OFF

from harness.callbacks import COUNTERS
from harness.events import KINDS, Driver, Event, ImageLoad, Print, ProcessCreate, ProcessExit
from harness.order import check
from harness.order.patterns import compile_pattern, kinds_of
from harness.order.screen import screens_of
from harness.report.explanation import explanation_text
from harness.scenario import parse
from harness.scenario.model import Not, OneOfValues, Pattern, Scenario, Variable

GIVEN = {"given": 1}


def compiled(kind, **fields):
    pattern = Pattern(kind, tuple(fields.items()), 1)
    return compile_pattern(pattern, kinds_of(pattern, frozenset()), GIVEN)


def create(pid: int) -> Event:
    return ProcessCreate(index=0, pid=pid, parent_pid=4)


@pytest.mark.parametrize(
    ("constraint", "numbers"),
    [
        (1, {1}),
        (Variable("given"), {1}),
        (OneOfValues((1, 2)), {1, 2}),
        (OneOfValues((1, None)), None),
        (None, None),
        (Not(1), None),
        (Variable("free"), None),
    ],
)
def test_the_numbers_of_a_pattern_are_those_that_pass(constraint, numbers):
    assert compiled("process_create", pid=constraint).numbers.get("pid") == numbers


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [("driver", "totals", True), ("driver", "totals", Variable("given")), ("image_load", "image", "a")],
)
def test_what_is_no_number_is_not_among_the_numbers(kind, field, value):
    assert not compiled(kind, **{field: value}).numbers


def test_a_kind_that_nothing_names_is_held_back():
    scope = [compiled("process_create", pid=1), compiled("process_exit", pid=1)]
    wanted = [compiled("process_create", pid=1)]
    assert set(screens_of({ProcessCreate, ProcessExit}, scope, wanted)) == {ProcessCreate}
    assert set(screens_of({ProcessCreate, ProcessExit}, scope, None)) == {ProcessCreate, ProcessExit}


def test_scope_and_wanted_both_have_to_fit():
    scope = [compiled("process_create", pid=1), compiled("process_create", pid=2)]
    wanted = [compiled("process_create", pid=2), compiled("process_create", parent_pid=9)]
    screen = screens_of({ProcessCreate}, scope, wanted)[ProcessCreate]
    assert [pid for pid in range(4) if screen(create(pid))] == [2]
    wide = screens_of({ProcessCreate}, scope, None)[ProcessCreate]
    assert [pid for pid in range(4) if wide(create(pid))] == [1, 2]


NUMBERS = st.sampled_from(["1", "[1, 2]", "{not: 1}", "$given", "{not: $given}", "any"])
IMAGES = st.sampled_from(["a.exe", "[a.exe, b.dll]", "'*.dll'", "null", "{not: a.exe}", "any"])
PATTERNS = st.one_of(
    st.builds("process_create: {{pid: {}}}".format, NUMBERS),
    st.builds("process_create: {{pid: {}, parent_pid: {}}}".format, NUMBERS, NUMBERS),
    st.builds("process_exit: {{pid: {}}}".format, NUMBERS),
    st.builds("image_load: {{pid: {}, image: {}}}".format, NUMBERS, IMAGES),
    st.builds("image_load: {{image: {}}}".format, IMAGES),
    st.just("driver: {totals: true}"),
    st.just("print: {text: '*x*'}"),
)
ITEMS = st.one_of(
    PATTERNS,
    st.builds("next: {{{}}}".format, PATTERNS),
    st.builds("optional: {{{}}}".format, PATTERNS),
    st.builds("any_order: [{{{}}}, {{{}}}]".format, PATTERNS, PATTERNS),
)
SCOPE = "scope: [{{pid: {}}}, {{driver: any}}, {{print: any}}]\n"
SCOPES = st.one_of(st.just(""), st.builds(SCOPE.format, NUMBERS))
NEVERS = st.one_of(st.just(""), st.builds("never: [{}]\n".format, PATTERNS))
ONLY = st.sampled_from(["", "only: true\n"])


@st.composite
def scenarios(draw: st.DrawFn) -> str:
    items = [draw(PATTERNS), *draw(st.lists(ITEMS, max_size=2))]
    scope = draw(SCOPES)
    if draw(st.booleans()):
        items = ["process_create: {pid: $p}", *items, "process_exit: {pid: $p}"]
        scope = draw(st.sampled_from([scope, SCOPE.format("$p")]))
    elif draw(st.booleans()):
        items = [items[0], f"never: {{{draw(PATTERNS)}}}", *items]
    order = "order:\n" + "".join(f"  - {item}\n" for item in items)
    return scope + order + draw(NEVERS) + draw(ONLY)


ALL = bool  # an event is true: a screen that lets everything through
PIDS = st.integers(1, 3)
PATHS = st.sampled_from([None, "\\Windows\\A.exe", "\\Windows\\b.dll", "c"])
TOTALS = dict.fromkeys(COUNTERS, 0)
MAKERS = st.one_of(
    st.builds(lambda pid, parent: lambda n: ProcessCreate(index=n, pid=pid, parent_pid=parent), PIDS, PIDS),
    st.builds(lambda pid: lambda n: ProcessExit(index=n, pid=pid), PIDS),
    st.builds(lambda pid, image: lambda n: ImageLoad(index=n, pid=pid, image=image, base=0), PIDS, PATHS),
    st.just(lambda n: Driver(index=n, function="DriverUnload", totals=TOTALS)),
    st.just(lambda n: Print(index=n, line="xyz")),
)


@settings(max_examples=400, deadline=None)
@given(scenarios(), st.lists(MAKERS, min_size=12, max_size=30))
def test_the_verdict_is_that_of_a_search_that_looks_at_every_event(expect, makers):
    block = "".join(f"  {line}\n" for line in expect.splitlines())
    scenario = parse(HEAD.replace("sleep: 1ms", "launch: {image: a.exe, as: given}") % OFF + block, Path("t"))
    events = [make(index) for index, make in enumerate(makers)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.order.search.screens_of", lambda *_: dict.fromkeys(KINDS.values(), ALL))
        plain = verdict(scenario, events)
    assert verdict(scenario, events) == plain


def verdict(scenario: Scenario, events: list[Event]) -> tuple[object, ...]:
    result = check(scenario, events, GIVEN)
    return result, explanation_text(result)
