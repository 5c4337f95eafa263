"""A scope that names a free variable: each value that the trace offers makes a scope of its own."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest
from msgspec import structs
from scenarios_of import HEAD, OFF, judge, trace

from harness.order import check
from harness.order.block import MAX_SCOPES
from harness.scenario import parse

SCOPE = "scope: {pid: $p}\n"
BORN = "order: [process_create: {pid: $p}]\n"
TO_THE_END = f"{SCOPE}{BORN}never: [process_exit: any]"
FORBIDDEN = "t.yaml:9: forbidden, but it came (event %d): process_exit: any"


@pytest.mark.parametrize(
    ("expect", "events", "reason"),
    [
        (TO_THE_END, "C1 C2", ""),
        (TO_THE_END, "C1 C2 X2", FORBIDDEN % 2),
        (TO_THE_END, "C1 C2 X1", FORBIDDEN % 2),
        (TO_THE_END, "C1 X1 C2 C3", FORBIDDEN % 1),
        # Where the order is not found nothing is forbidden.
        (TO_THE_END, "C1 X2 C3", ""),
        (TO_THE_END, "X1 X2", "t.yaml:8: not found: process_create {pid: $p}"),
        (TO_THE_END, "", "t.yaml:8: not found: process_create {pid: $p}"),
        # The order itself, with what is forbidden between two of its lines, must be found in one scope.
        (f"{SCOPE}order: [process_create: {{pid: $p}}, process_exit: {{pid: $p}}]", "C1 C2 X2", ""),
        (f"{SCOPE}order: [process_create: {{pid: $p}}, never: {{process_exit: any}}]", "C1 X1 C2", ""),
        (f"{SCOPE}{BORN}only: true", "C1 X1 C2", ""),
        (f"{SCOPE}{BORN}only: true", "C1 X1", "'only', but event 1 (process_exit) stands for nothing"),
    ],
)
def test_an_order_is_found_in_one_scope_and_what_is_forbidden_comes_in_none_of_those(
    expect: str, events: str, reason: str
) -> None:
    result = judge(expect, events)
    assert reason in result.reason
    assert result.broken is bool(reason)
    assert result.passed is not bool(reason)


def test_events_that_do_not_carry_what_the_scope_names_make_no_scope() -> None:
    expect = """
        scope: {context_pid: $c}
        order:
          - process_exit: any
          - process_exit: {pid: 2}
          - optional: {process_exit: {context_pid: $c}}
    """
    scenario = parse(HEAD % OFF + indent(dedent(expect).strip(), "  ") + "\n", Path("t.yaml"))
    one, two, three = trace("X1 X2 X3")
    carrying = structs.replace(three, context_pid=3)
    assert check(scenario, [one, two, carrying], {}).reason == "t.yaml:10: not found: process_exit {pid: 2}"
    inside = [structs.replace(event, context_pid=3) for event in (one, two)]
    assert check(scenario, [*inside, carrying], {}).passed


OPTIONAL = "any_order: [" + ", ".join(["optional: {process_create: any}"] * 40) + "]"


def test_a_scope_that_is_too_ambiguous_is_no_excuse_and_no_proof() -> None:
    of_one = f"[process_create: {{pid: 1}}, {OPTIONAL}, process_exit: {{pid: 3}}]"
    ends = f"one_of: [process_exit: {{pid: 2}}, {of_one}]"
    expect = f"{SCOPE}order: [process_create: {{pid: $p}}, {ends}]\n"
    found = "C1 C2 C1 X2"
    assert judge(expect, found).passed
    (said,) = judge(f"{expect}never: [process_exit: {{pid: 9}}]", found).unjudged
    assert said.ambiguous
    broken = judge(f"{expect}never: [process_exit: {{pid: 2}}]", found)
    assert "forbidden, but it came (event 3)" in broken.reason


def test_scopes_beyond_the_limit_are_not_judged() -> None:
    events = " ".join(f"C{n}" for n in range(1, MAX_SCOPES + 2))
    assert judge(f"{SCOPE}{BORN}", events.rpartition(" ")[0]).passed
    (said,) = judge(f"{SCOPE}{BORN}", events).unjudged
    assert said.reason == "t.yaml:7: the scope fits more than 1000 ways"
    assert said.hint == "bind its variable in a step"
