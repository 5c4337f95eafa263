"""Whatever order is asked for and whatever came: there is a verdict, and a failure can be explained."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios_of import judge

from harness.errors import ScenarioError
from harness.report.explanation import explanation_text

patterns = st.builds(
    "{}: {}".format,
    st.sampled_from(["process_create", "process_exit"]),
    st.sampled_from(["any", "{pid: 1}", "{pid: 2}", "{pid: $p}", "{pid: {not: $p}}"]),
)


def listed(items: list[str]) -> str:
    return "[" + ", ".join(f"{{{item}}}" for item in items) + "]"


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(inner, min_size=2, max_size=3).map(listed)
    return (
        st.builds("any_order: {}".format, some)
        | st.builds("one_of: {}".format, some)
        | st.builds("optional: {{{}}}".format, inner)
        | st.builds("next: {{{}}}".format, inner)
        | st.builds("repeat: {{of: {}, min: {}}}".format, some, st.integers(0, 2))
        | st.builds("never: {{{}}}".format, patterns)
        | st.builds("within: {}s".format, st.integers(1, 2))
    )


items = st.recursive(patterns, compound, max_leaves=5)
words = st.builds("{}{}".format, st.sampled_from("CX"), st.integers(1, 3))


@settings(max_examples=600, derandomize=True, database=None)
@given(
    st.lists(items, min_size=1, max_size=4).map(listed),
    st.none() | patterns,
    st.booleans(),
    st.sampled_from(
        ["", "scope: {pid: 1}\n", "scope: [{pid: 1}, process_exit: any]\n", "scope: {pid: $p}\n"]
    ),
    st.lists(words, min_size=1, max_size=7).map(" ".join),
)
def test_a_failure_has_a_place_and_an_explanation(
    order: str, never: str | None, only: bool, scope: str, events: str
) -> None:
    order = f"[process_create: {{pid: $p}}, optional: {{process_exit: {{pid: $p}}}}, {order[1:]}"
    expect = f"{scope}order: {order}\nonly: {str(only).lower()}\n"
    if never is not None:
        expect += f"never: [{{{never}}}]\n"
    try:
        result = judge(expect, events)
    except ScenarioError:
        return  # a gap without neighbours, and the like
    assert all("too ambiguous" in said.reason for said in result.unjudged)
    assert result.passed is bool(result.witnesses)
    if result.broken:
        assert result.reason.startswith("t.yaml:")
        assert "\n" not in result.reason
        # An event that has all fields right and nothing in its way would have been claimed.
        assert "not allowed by the rest" not in explanation_text(result)
        text = explanation_text(result)
        rows = [row for failure in result.failures for row in failure.explanation.rows]
        assert rows or "no event of that kind came at all" in text
        assert all(row.event.line in text for row in rows)
