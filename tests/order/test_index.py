"""The index finds every pattern that an event fits, and the search misses nothing by asking it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios_of import HEAD, OFF

from harness.callbacks import COUNTERS
from harness.events import Driver, Event, ImageLoad, Print, ProcessCreate, ProcessExit
from harness.order import check
from harness.order.index import PatternIndex
from harness.order.patterns import compile_pattern, kinds_of
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
    ("kind", "fields", "exact"),
    [
        ("process_create", {"pid": 1}, {"pid": 1}),
        ("process_create", {"pid": Variable("given"), "parent_pid": 4}, {"pid": 1, "parent_pid": 4}),
        ("process_create", {"pid": Variable("free")}, {}),
        ("process_create", {"pid": OneOfValues((1, 2))}, {}),
        ("process_create", {"pid": Not(1)}, {}),
        ("image_load", {"image": "NotePad.exe"}, {"image/": "notepad.exe"}),
        ("image_load", {"image": "C:\\A.exe"}, {"image": "c:\\a.exe"}),
        ("image_load", {"image": "*.exe"}, {}),
        ("image_load", {"image": None}, {"image": None}),
        ("driver", {"totals": True}, {"totals": True}),
    ],
)
def test_what_a_pattern_compares_with_one_value_is_a_key(kind, fields, exact):
    assert dict(compiled(kind, **fields).exact) == exact


def test_an_entry_is_found_until_it_is_removed_and_leaves_nothing_behind():
    index = PatternIndex()
    one, free = compiled("process_create", pid=1), compiled("process_create", pid=Variable("free"))
    index.add(one, {}, "one")
    index.add(free, {"free": 2}, "bound")
    index.add(free, {}, "free")
    assert [sorted(index.find(create(pid))) for pid in (1, 2, 3)] == [
        ["free", "one"],
        ["bound", "free"],
        ["free"],
    ]
    index.remove(free, {}, "free")
    index.remove(free, {"free": 2}, "bound")
    assert [index.find(create(pid)) for pid in (1, 2)] == [["one"], []]
    index.remove(one, {}, "one")
    assert index.find(create(1)) == []
    assert not index._tables


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


@settings(max_examples=400)
@given(scenarios(), st.lists(MAKERS, min_size=12, max_size=30))
def test_the_verdict_is_that_of_a_search_that_looks_at_every_event(expect, makers):
    block = "".join(f"  {line}\n" for line in expect.splitlines())
    scenario = parse(HEAD.replace("sleep: 1ms", "launch: {image: a.exe, as: given}") % OFF + block, Path("t"))
    events = [make(index) for index, make in enumerate(makers)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PatternIndex, "find", lambda index, event: list(dict.fromkeys(index.everything)))
        patch.setattr(PatternIndex, "everything", property(everything), raising=False)
        plain = verdict(scenario, events)
    assert verdict(scenario, events) == plain


def everything(index):
    """All entries, whatever they wait for."""
    for groups in index._tables.values():
        for _, table in groups.values():
            for entries in table.values():
                yield from entries


def verdict(scenario: Scenario, events: list[Event]) -> tuple[object, ...]:
    result = check(scenario, events, GIVEN)
    return result, explanation_text(result, result.reason)


@pytest.mark.parametrize(("image", "fits"), [("a[1].dll", True), ("a1.dll", True), ("a2.dll", False)])
@pytest.mark.parametrize("asked", ["a[1].dll", r"\d\a[1].dll"])
def test_a_name_with_the_signs_of_a_glob_fits_itself(asked: str, image: str, fits: bool) -> None:
    event = ImageLoad(index=0, pid=1, image=rf"\d\{image}")
    assert (compiled("image_load", image=asked).match(event, {}) is not None) is fits
