"""The words of the guest helper's command line, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.actions import MAX_BUFFER, MAX_DWORD, NO_BUFFER
from harness.virtual.interfaces import UserBuffer
from harness.virtual.nt.arguments import BadArgumentsError, take_buffer, take_number

ADDRESSES = st.integers(0, (1 << 64) - 1)


@given(st.binary(min_size=1, max_size=64))
def test_bytes_are_read_back(content: bytes) -> None:
    words = [content.hex(), "rest"]
    assert take_buffer(words) == UserBuffer.of(content)
    assert words == ["rest"]


@given(ADDRESSES, st.integers(0, MAX_BUFFER))
def test_an_address_is_read_back(address: int, size: int) -> None:
    assert take_buffer([f"@{address}:{size}"]) == UserBuffer(size=size, address=address)


@given(st.text(max_size=40))
def test_any_word_is_a_buffer_within_its_limits_or_refused(word: str) -> None:
    try:
        buffer = take_buffer([word])
    except BadArgumentsError:
        return
    assert buffer.size <= MAX_BUFFER and len(buffer.content) <= buffer.size
    assert buffer.address is None or 0 <= buffer.address < 1 << 64


def test_as_many_bytes_are_taken_as_are_said_and_none_for_none() -> None:
    assert take_buffer(["ab" * MAX_BUFFER]).size == MAX_BUFFER
    assert take_buffer([NO_BUFFER]) == UserBuffer()
    for word in ("ab" * (MAX_BUFFER + 1), f"@0:{MAX_BUFFER + 1}", f"@{1 << 64}:1", "@1", "@"):
        with pytest.raises(BadArgumentsError):
            take_buffer([word])


@pytest.mark.parametrize("words", [[], [""], ["-1"], [str(MAX_DWORD + 1)], ["1.5"], ["x"]])
def test_what_is_no_number_is_refused(words: list[str]) -> None:
    with pytest.raises(BadArgumentsError):
        take_number(words)
