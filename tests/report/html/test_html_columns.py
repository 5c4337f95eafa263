"""Events in columns."""

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.html.columns import LineColumns, indexed, packed, steps


def sums(numbers: list[int | None]) -> list[int | None]:
    """As the page's script takes steps together."""
    last, found = 0, []
    for number in numbers:
        last += number or 0
        found.append(None if number is None else last)
    return found


def lines_of(document: dict[str, object]) -> list[str]:
    """As the page's script writes lines."""
    document = json.loads(json.dumps(document))
    turns = [0] * len(document["forms"])
    lines = []
    for form in document["of"]:
        columns = [
            [place[0][number] for number in place[1]] if isinstance(place[0], list) else sums(place)
            for place in document["places"][form]
        ]
        parts = document["forms"][form].split("\0")
        values = [column[turns[form]] for column in columns]
        turns[form] += 1
        lines.append(parts[0] + "".join(f"{v}{p}" for v, p in zip(values, parts[1:], strict=True)))
    return lines


@given(st.lists(st.none() | st.integers(-(2**70), 2**70)))
def test_steps_lead_back_to_the_numbers(numbers: list[int | None]) -> None:
    assert sums(steps(numbers)) == numbers


@given(st.lists(st.text(alphabet="ab0123456789x \\<", max_size=20), max_size=30))
def test_lines_come_back_as_they_were(lines: list[str]) -> None:
    columns = LineColumns()
    for line in lines:
        columns.take(line)
    assert lines_of(columns.document()) == lines


@pytest.mark.parametrize("number", ["007", "0x00FF", "12345678901234567890", "9" * 15, "1" + "0" * 15, "٣"])
def test_a_number_keeps_its_look(number: str) -> None:
    columns = LineColumns()
    for line in (f"a {number} b", "a 1 b"):
        columns.take(line)
    assert lines_of(columns.document()) == [f"a {number} b", "a 1 b"]


@given(st.lists(st.tuples(st.booleans(), st.text(alphabet="ab0129 \\é", max_size=12)), max_size=30))
def test_lines_that_are_taken_whole_stand_between_the_others(lines: list[tuple[bool, str]]) -> None:
    columns = LineColumns()
    for whole, line in lines:
        if whole:
            columns.take_whole(line)
        else:
            columns.take(line)
    assert lines_of(columns.document()) == [line for _, line in lines]


def test_a_line_says_how_much_it_adds() -> None:
    columns = LineColumns()
    first, second = columns.take("é PID(12) at 0x00ff"), columns.take("é PID(7) at 0x00ff")
    assert (first, second) == (len("\\xe9 PID(\0) at \0") + 2 * 20 + 8, 7)
    assert columns.take("other") == len("other")


def test_lines_of_one_form_share_it() -> None:
    columns = LineColumns()
    for number in range(1000):
        columns.take(f"PID({number}) at 0x{number:08x}")
    document = columns.document()
    assert document["forms"] == ["PID(\0) at \0"]
    assert document["places"][0][0] == [0, *[1] * 999]


def test_different_texts_stand_once() -> None:
    assert indexed(["b", "a", "b"]) == (["b", "a"], [0, 1, 0])


def test_more_than_one_piece_is_packed_as_one() -> None:
    text = [f"{number * 7919 % 100_003:x}" for number in range(150_000)]
    assert len(json.dumps(text)) > 1 << 20
    assert json.loads(zlib.decompress(base64.b64decode(packed(text)))) == text


@given(st.text())
def test_what_is_packed_ends_no_element(text: str) -> None:
    found = packed({"</script>": text, "half": "\ud800"})
    assert re.fullmatch("[A-Za-z0-9+/=]*", found)
    assert json.loads(zlib.decompress(base64.b64decode(found))) == {"</script>": text, "half": "\ud800"}
