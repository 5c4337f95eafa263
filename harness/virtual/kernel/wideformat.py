"""The format language of the kernel's ``_vsnwprintf``: what it prints is UTF-16.

As that of :mod:`harness.virtual.kernel.dbgprint`, but that ``c`` and ``s`` are wide and ``C`` and ``S``
narrow, and that widths count 16-bit characters. Source: Microsoft, *Format Specification Syntax: printf and
wprintf Functions*.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from harness.virtual.cpu.memory import Memory
from harness.virtual.kernel.dbgprint import (
    MAX_FIELD,
    Segment,
    Spec,
    convert_integer,
    parse_spec,
    resolve_stars,
)

__all__ = ["WideFormat", "compile_wide_format", "render_wide"]

_NULL: Final = "(null)".encode("utf-16-le")
_COUNTED_STRING: Final = struct.Struct("<HHIQ")
_PERCENT: Final = ord("%")


class WideFormat(NamedTuple):
    """A wide format string, taken apart."""

    segments: tuple[Segment, ...]
    """Literal text is UTF-16."""
    words: int
    """64-bit arguments that it takes."""
    narrow: bool
    """It converts text of the ANSI code page: allowed at PASSIVE_LEVEL only."""


def compile_wide_format(text: bytes) -> WideFormat:
    """Take a UTF-16 format apart."""
    units = struct.unpack(f"<{len(text) // 2}H", text)
    # What no conversion is made of may be any byte that is none of its characters.
    shadow = bytes(unit if unit < 0x80 else 0x80 for unit in units)
    segments: list[Segment] = []
    at = start = 0
    while at < len(shadow):
        if shadow[at] != _PERCENT:
            at += 1
            continue
        spec, behind = parse_spec(shadow, at + 1, wide_print=True)
        if start < at:
            segments.append(text[2 * start : 2 * at])
        if isinstance(spec, Spec):
            segments.append(spec)
            start = behind
        else:
            start = min(behind - 1, len(shadow))
        at = behind
    if start < len(shadow):
        segments.append(text[2 * start :])
    specs = [segment for segment in segments if isinstance(segment, Spec)]
    return WideFormat(
        tuple(segments),
        words=sum(1 + (spec.width is None) + (spec.precision is None) for spec in specs),
        narrow=any(not spec.wide for spec in specs if spec.type in ("c", "s", "Z")),
    )


def render_wide(form: WideFormat, arguments: tuple[int, ...], memory: Memory) -> bytes:
    """The text as UTF-16.

    :param arguments: the variable arguments as 64-bit words.
    :raises MemoryFault: a string lies where nothing is mapped.
    """
    words = iter(arguments)
    parts: list[bytes] = []
    for segment in form.segments:
        if isinstance(segment, Spec):
            spec = resolve_stars(segment, words)
            parts.append(_convert(spec, next(words, 0), memory))
        else:
            parts.append(segment)
    return b"".join(parts)


def _widen(ansi: bytes) -> bytes:
    return ansi.decode("cp1252", "replace").encode("utf-16-le")


def _convert(spec: Spec, word: int, memory: Memory) -> bytes:
    if spec.type == "n":
        return b""  # see harness.virtual.kernel.dbgprint
    if spec.type not in ("c", "s", "Z"):
        return _widen(convert_integer(spec, word))
    if spec.type == "c":
        body = struct.pack("<H", word & 0xFFFF) if spec.wide else _widen(bytes((word & 0xFF,)))
    elif spec.type == "s":
        body = _string(spec, word, memory)
    else:
        body = _counted(spec, word, memory)
    fill = ("0" if spec.zero and not spec.left else " ").encode("utf-16-le")
    padding = fill * ((spec.width or 0) - len(body) // 2)
    return body + padding if spec.left else padding + body


def _string(spec: Spec, pointer: int, memory: Memory) -> bytes:
    limit = MAX_FIELD if spec.precision in (-1, None) else spec.precision
    assert limit is not None
    if pointer == 0:
        return _NULL[: 2 * limit]
    return memory.wide_string(pointer, limit) if spec.wide else _widen(memory.c_string(pointer, limit))


def _counted(spec: Spec, pointer: int, memory: Memory) -> bytes:
    """ANSI_STRING or UNICODE_STRING; precision does not apply."""
    if pointer == 0:
        return _NULL
    length, _, _, buffer = _COUNTED_STRING.unpack(memory.load(pointer, _COUNTED_STRING.size))
    if buffer == 0:
        return _NULL
    length = min(length, 2 * MAX_FIELD)
    return memory.load(buffer, length & ~1) if spec.wide else _widen(memory.load(buffer, length))
