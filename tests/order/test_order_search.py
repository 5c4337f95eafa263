"""What each construct of an order means, as tables; and a reference that tries everything."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from scenarios_of import HEAD, OFF, judge, trace

from harness.order import check
from harness.report.explanation import explanation_text
from harness.scenario import parse

TABLE = [
    (
        "later, with anything between",
        "order: [process_create: {pid: 1}, process_exit: {pid: 1}]",
        {"C1 X1": True, "C1 C2 X2 X1": True, "X1 C1": False, "C1": False},
    ),
    (
        "a variable has one value",
        "order: [process_create: {pid: $p}, process_exit: {pid: $p}]",
        {"C1 X1": True, "C1 X2": False, "C1 C2 X2": True, "X1 C2 X2": True, "C1 X2 C3": False},
    ),
    ("distinct events", "order: [process_create: any, process_create: any]", {"C1": False, "C1 C1": True}),
    (
        "next",
        "order: [process_create: {pid: 1}, next: {process_exit: {pid: 1}}]",
        {"C1 X1": True, "C1 C2 X1": False, "C1 C2 C1 X1": True},
    ),
    (
        "next skips what is out of scope",
        "scope: {pid: 1}\norder: [process_create: {pid: 1}, next: {process_exit: {pid: 1}}]",
        {"C1 C2 X1": True, "C1 C1 X1": True, "C1 C2": False},
    ),
    (
        "any_order",
        "order: [any_order: [process_create: {pid: 1}, process_create: {pid: 2}], process_exit: any]",
        {"C1 C2 X9": True, "C2 C1 X9": True, "C1 X9": False, "C1 X9 C2": False},
    ),
    (
        "any_order takes distinct events",
        "order: [any_order: [process_create: any, process_create: any]]",
        {"C1": False, "C1 C2": True},
    ),
    (
        "lists in any_order interleave",
        "order: [any_order: [[process_create: {pid: 1}, process_exit: {pid: 1}], "
        "[process_create: {pid: 2}, process_exit: {pid: 2}]]]",
        {"C1 C2 X1 X2": True, "C2 C1 X1 X2": True, "C1 X1 C2 X2": True, "C1 X2 C2 X1": False},
    ),
    (
        "one_of",
        "order: [one_of: [process_create: {pid: 1}, process_create: {pid: 2}], process_exit: any]",
        {"C1 X9": True, "C2 X9": True, "C3 X9": False},
    ),
    (
        "optional",
        "order: [process_create: {pid: 1}, optional: {process_create: {pid: 2}}, "
        "next: {process_exit: {pid: 1}}]",
        {"C1 X1": True, "C1 C2 X1": True, "C1 C3 X1": False},
    ),
    (
        "repeat",
        "order: [repeat: {of: [process_create: {pid: $p}, process_exit: {pid: $p}], min: 2, max: 2}]",
        {"C1 X1": False, "C1 X1 C2 X2": True, "C1 C2 X1 X2": False, "C1 X1 C1 X1": True},
    ),
    (
        "repeat finds the number that fits",
        "order: [repeat: {of: {process_create: any}, min: 1, max: 3}, "
        "process_create: {pid: 3}, next: {process_exit: {pid: 3}}]",
        {"C1 C2 C3 X3": True, "C3 X3": False},
    ),
    (
        "never between two neighbours",
        "order: [process_create: {pid: 1}, never: {process_create: {pid: 2}}, process_exit: {pid: 1}]",
        {"C1 X1": True, "C1 C2 X1": False, "C2 C1 X1 C2": True, "C1 C2 C1 X1": True},
    ),
    (
        "never behind a missing optional",
        "order: [process_create: {pid: 1}, never: {process_create: {pid: 2}}, "
        "optional: {process_create: {pid: 3}}, process_exit: {pid: 1}]",
        {"C1 X1": True, "C1 C2 X1": False, "C1 C3 C2 X1": True},
    ),
    (
        "never for the whole trace",
        "order: [process_create: {pid: 1}]\nnever: [process_exit: {pid: 2}]",
        {"C1": True, "X2 C1": False, "C1 X2": False},
    ),
    (
        "never with a variable of the order",
        "order: [process_create: {pid: $p}]\nnever: [process_exit: {pid: $p}]",
        {"C1": True, "C1 X1": False, "X1 C1": False, "C1 X1 C2": True},
    ),
    (
        "only",
        "only: true\nscope: {pid: 1}\norder: [process_create: {pid: 1}, process_exit: {pid: 1}]",
        {"C1 X1": True, "C2 C1 X1": True, "C1 C1 X1": False, "C1 X1 X1": False},
    ),
    (
        "within",
        "order: [process_create: {pid: 1}, within: 2s, process_exit: {pid: 1}]",
        {"C1 X1": True, "C1 C2 X1": True, "C1 C2 C3 X1": False, "C1 C2 C3 C1 X1": True},
    ),
    ("not", "order: [process_create: {pid: {not: 1}}]", {"C1": False, "C2": True}),
    ("a list of values", "order: [process_create: {pid: [1, 2]}]", {"C2": True, "C3": False}),
]


@pytest.mark.parametrize(
    ("expect", "events", "holds"),
    [pytest.param(e, t, h, id=f"{name}: {t}") for name, e, cases in TABLE for t, h in cases.items()],
)
def test_meaning(expect: str, events: str, holds: bool) -> None:
    result = judge(expect, events)
    assert result.passed is holds
    assert bool(result.reason) is not holds
    assert bool(result.witnesses) is holds


def test_a_name_that_a_step_bound_must_agree() -> None:
    expect = "order: [process_create: {pid: $agent}]"
    assert judge(expect, "C1", {"agent": 1}).passed
    assert not judge(expect, "C1", {"agent": 2}).passed


def test_an_event_of_one_branch_may_not_break_the_gap_of_another() -> None:
    expect = (
        "order: [any_order: [[process_create: {pid: 1}, never: {process_create: {pid: 2}},"
        " process_exit: {pid: 1}], process_create: {pid: 2}]]"
    )
    assert judge(expect, "C1 X1 C2").passed
    assert judge(expect, "C2 C1 X1").passed
    assert not judge(expect, "C1 C2 X1").passed


def test_of_two_limits_on_one_gap_the_shorter_holds() -> None:
    for first, second in (("1s", "3s"), ("3s", "1s")):
        expect = (
            f"order: [process_create: {{pid: 1}}, within: {first}, optional: {{process_create: {{pid: 9}}}},"
            f" within: {second}, process_exit: {{pid: 1}}]"
        )
        assert judge(expect, "C1 X1").passed
        assert not judge(expect, "C1 C2 X1").passed


def test_a_limit_between_two_rounds_holds() -> None:
    repeat = "repeat: {of: [within: 1s, process_create: {pid: 1}], min: 2, max: 2}"
    expect = f"order: [{repeat}, process_exit: {{pid: 1}}]"
    assert judge(expect, "C1 C1 X1").passed
    assert not judge(expect, "C1 C2 C1 X1").passed


def test_no_variable_takes_the_nothing_of_a_field_that_is_absent() -> None:
    expect = "order: [process_create: {creating_pid: $by}, process_create: {creating_pid: $by}]"
    scenario = parse(HEAD % OFF + f"  {expect}\n", Path("t.yaml"))
    first, second, third = trace("C1 C2 C3")
    carrying = structs.replace(third, creating_pid=4)
    assert not check(scenario, [first, second, carrying], {}).passed
    assert check(scenario, [first, structs.replace(second, creating_pid=4), carrying], {}).passed


def test_an_order_of_5000_items_is_searched() -> None:
    expect = "order:\n" + "  - process_create: {pid: 1}\n" * 5_000
    assert judge(expect, "C1 " * 5_000).passed
    assert not judge(expect, "C1 " * 4_999).passed


def test_an_empty_trace_proves_nothing() -> None:
    result = judge("never: [process_exit: any]", "")
    assert not result.passed
    assert not result.broken
    assert "holds no events" in result.reason


def test_the_witness_names_the_events() -> None:
    result = judge("order: [process_create: {pid: $p}, process_exit: {pid: $p}]", "C1 C2 X2")
    (witness,) = result.witnesses
    assert [match.index for match in witness.matches] == [1, 2]
    assert witness.bindings == {"p": 2}


def test_a_failure_names_the_line_the_place_and_the_nearest_miss() -> None:
    result = judge("order:\n  - process_create: {pid: 1}\n  - process_exit: {pid: 1}", "C1 X2")
    assert result.reason == "t.yaml:9: not found: process_exit {pid: 1}"
    text = explanation_text(result)
    assert "no event fits: the nearest, event 1, has pid 2, not 1" in text
    assert "0       1  line 8 held        C1" in text
    assert "1       2  nearest to line 9  X2" in text


words = st.builds("{}{}".format, st.sampled_from("CX"), st.integers(1, 3))
values = st.sampled_from(["1", "2", "$p", "$q", "any"])
patterns = st.lists(st.tuples(st.sampled_from("CX"), values), min_size=1, max_size=4)


@settings(max_examples=300)
@given(patterns, st.lists(words, min_size=1, max_size=6), st.sampled_from(["order", "any_order", "only"]))
def test_agrees_with_trying_everything(wanted: list[tuple[str, str]], events: list[str], shape: str) -> None:
    # A variable that is named once is refused by the loader: it means any value.
    used = [value for _, value in wanted]
    wanted = [(k, "any" if v.startswith("$") and used.count(v) == 1 else v) for k, v in wanted]
    lines = [f"{'process_create' if kind == 'C' else 'process_exit'}: {{pid: {v}}}" for kind, v in wanted]
    if shape == "any_order" and len(lines) > 1:
        expect = "order: [any_order: [" + ", ".join(f"{{{line}}}" for line in lines) + "]]"
        orders = list(itertools.permutations(range(len(events)), len(wanted)))
    else:
        expect = ("only: true\n" if shape == "only" else "") + "order:\n"
        expect += "\n".join(f"  - {line}" for line in lines)
        orders = list(itertools.combinations(range(len(events)), len(wanted)))
    if shape == "only":
        orders = [order for order in orders if len(order) == len(events)]
    expected = any(_agrees(wanted, [events[place] for place in order]) for order in orders)
    assert judge(expect, " ".join(events)).passed is expected


def _agrees(wanted: list[tuple[str, str]], events: list[str]) -> bool:
    bound: dict[str, str] = {}
    for (kind, value), event in zip(wanted, events, strict=True):
        if event[0] != kind:
            return False
        if value.startswith("$"):
            if bound.setdefault(value, event[1:]) != event[1:]:
                return False
        elif value not in ("any", event[1:]):
            return False
    return True


def any_order_of(branch: str, count: int) -> str:
    return "any_order: [" + ", ".join([branch] * count) + "]"


OPTIONALS = any_order_of("optional: {process_create: any}", 40)
DIFFERENT = any_order_of("process_create: {pid: {not: 9}}", 20)


@pytest.mark.parametrize(
    ("expect", "events", "where"),
    [
        pytest.param(
            f"order: [{OPTIONALS}, process_exit: any]", "C1", "at its beginning", id="before the first event"
        ),
        pytest.param(
            f"order: [process_exit: any, {OPTIONALS}, process_exit: any]", "C1 X1", "at event 1", id="at once"
        ),
        pytest.param(
            f"order: [{DIFFERENT}]",
            " ".join(f"C{n}" for n in range(10, 40)),
            "at event [0-9]+",
            id="bit by bit",
        ),
    ],
)
def test_what_is_too_ambiguous_to_be_searched_is_not_judged(expect: str, events: str, where: str) -> None:
    result = judge(expect, events)
    (said,) = result.unjudged
    assert not result.broken
    assert not result.passed
    assert said.ambiguous
    place = "t.yaml:7: the trace is too ambiguous to be judged"
    assert re.fullmatch(f"{place}: {where} more than 20000 ways to read the trace are open", said.reason)


AMBIGUOUS = f"order: [process_exit: any, {OPTIONALS}, process_exit: any]"
"""Too ambiguous for a trace that begins with an exit."""


@pytest.mark.parametrize(
    ("expect", "events", "reason"),
    [
        pytest.param(
            f"- {AMBIGUOUS}\n- order: [process_create: {{pid: 9}}]",
            "X1 X1",
            "t.yaml:8: not found: process_create {pid: 9}",
            id="another order",
        ),
        pytest.param(
            f"- {AMBIGUOUS}\n- never: [process_create: any]",
            "X1 X1 C1",
            "t.yaml:8: forbidden, but it came (event 2): process_create: any",
            id="what is forbidden in another block",
        ),
    ],
)
def test_what_is_broken_besides_stays_broken(expect: str, events: str, reason: str) -> None:
    result = judge(expect, events)
    assert [failure.reason for failure in result.failures] == [reason]
    assert result.reason == reason
    assert [said.ambiguous for said in result.unjudged] == [True]


def test_what_is_forbidden_beside_an_order_is_found_after_its_search_gave_up() -> None:
    expect = f"{AMBIGUOUS}\nnever: [process_create: {{pid: 9}}]"
    assert judge(expect, "X1 X1 C1").unjudged
    broken = judge(expect, "X1 X1 C1 C9")
    assert broken.reason == "t.yaml:8: forbidden, but it came (event 3): process_create {pid: 9}"
    assert not broken.unjudged


def test_a_broken_rule_outweighs_an_order_that_is_too_ambiguous() -> None:
    rules = parse(HEAD % "nothing_after_process_exit" + f"  {AMBIGUOUS}\n", Path("t.yaml"))
    result = check(rules, trace("X1 X1 C2 C2"), {})
    assert result.reason.startswith("process_created_once: ")
    assert [said.ambiguous for said in result.unjudged] == [True]
    assert "too ambiguous to be judged" in explanation_text(result)
