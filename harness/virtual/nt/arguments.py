"""The words of the guest helper's command line."""

from __future__ import annotations

from harness.actions import MAX_BUFFER, MAX_DWORD, NO_BUFFER
from harness.virtual.interfaces import UserBuffer

__all__ = ["BadArgumentsError", "take_buffer", "take_number", "take_word"]

_MAX_ADDRESS = (1 << 64) - 1


class BadArgumentsError(Exception):
    """The words behind the action are not what it takes."""


def take_word(words: list[str]) -> str:
    """Take the word at the front of ``words``."""
    if not words:
        raise BadArgumentsError
    return words.pop(0)


def take_number(words: list[str], maximum: int = MAX_DWORD) -> int:
    """Take a number, decimal or 0x hexadecimal, from the front of ``words``."""
    try:
        value = int(take_word(words), 0)
    except ValueError:
        raise BadArgumentsError from None
    if not 0 <= value <= maximum:
        raise BadArgumentsError
    return value


def take_buffer(words: list[str]) -> UserBuffer:
    """Take a buffer from the front: hexadecimal digits, ``@ADDRESS:LENGTH``, or ``-`` for none."""
    word = take_word(words)
    if word == NO_BUFFER:
        return UserBuffer()
    if word.startswith("@"):
        address, _, length = word[1:].partition(":")
        place, size = take_number([address], _MAX_ADDRESS), take_number([length], MAX_BUFFER)
        return UserBuffer(size=size, address=place)
    try:
        content = bytes.fromhex(word)
    except ValueError:
        raise BadArgumentsError from None
    if len(content) > MAX_BUFFER:
        raise BadArgumentsError
    return UserBuffer.of(content)
