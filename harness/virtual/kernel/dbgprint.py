"""DbgPrint's format language, byte for byte as the kernel's ``_vsnprintf`` reads it.

``%[flags][width][.precision][size]type`` with flags ``- + # 0`` and blank, ``*`` for width and precision,
sizes ``h`` ``l`` ``ll`` ``w`` ``I`` ``I32`` ``I64``, and types ``d i u x X o c C s S Z p n``. Sources:
Microsoft, *Format Specification Syntax: printf and wprintf Functions* for the grammar; *DbgPrint function
(wdm.h)* for ``%wZ`` and ``%Z`` (counted strings), the 512 bytes and the missing floating point; ReactOS
``sdk/lib/rtl/debug.c`` for the cut: text that does not fit keeps its first 511 bytes and ends in a line
feed.

A format is compiled once to segments; a call only fills them.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from harness.virtual.cpu.memory import Memory

__all__ = [
    "BUFFER_SIZE",
    "MAX_FIELD",
    "MAX_FORMAT",
    "Format",
    "Segment",
    "Spec",
    "compile_format",
    "convert_integer",
    "cut",
    "parse_spec",
    "render",
    "resolve_stars",
    "to_ansi",
]

BUFFER_SIZE: Final = 512
"""Bytes DbgPrint formats into."""
MAX_FORMAT: Final = 4096
"""Longest format string that is read."""
MAX_FIELD: Final = 4096
"""Longest single field: more can never reach the buffer."""

_NULL: Final = b"(null)"
_FLAGS: Final = b"-+ #0"
_MASKS: Final = {16: 0xFFFF, 32: 0xFFFF_FFFF, 64: 0xFFFF_FFFF_FFFF_FFFF}
_PLAIN: Final = {"u": b"%d", "x": b"%x", "X": b"%X", "p": b"%016X"}
_COUNTED_STRING: Final = struct.Struct("<HHIQ")


class Spec(NamedTuple):
    """One conversion."""

    type: str
    """``d i u x X o p c s Z n``; C and S are folded into ``c`` and ``s`` with the other width."""
    left: bool = False
    plus: bool = False
    blank: bool = False
    alternate: bool = False
    zero: bool = False
    width: int | None = None
    """None: taken from an argument (``*``)."""
    precision: int | None = -1
    """-1: not given; None: taken from an argument."""
    bits: int = 32
    """Width of an integer argument."""
    wide: bool = False
    """UTF-16 text."""


Segment: TypeAlias = bytes | Spec


class Format(NamedTuple):
    """A compiled format string."""

    template: bytes
    """For Python's ``%``: the literal text, with one directive a conversion."""
    fields: tuple[tuple[Spec, int], ...]
    """Each conversion, and the mask of its argument where a plain directive prints that; 0 where it must be
    converted first."""
    words: int
    """64-bit arguments that it takes."""
    unicode: bool
    """It converts UTF-16 text: allowed at PASSIVE_LEVEL only (DbgPrint, Remarks)."""


@functools.lru_cache(maxsize=512)
def compile_format(text: bytes) -> Format:
    """Take a format apart. An unknown type character is printed as it stands, as the C
    run-time library's state table does."""
    segments: list[Segment] = []
    literal = bytearray()
    at = 0
    while at < len(text):
        percent = text.find(b"%", at)
        if percent < 0:
            literal += text[at:]
            break
        literal += text[at:percent]
        spec, at = parse_spec(text, percent + 1)
        if isinstance(spec, bytes):
            literal += spec
            continue
        if literal:
            segments.append(bytes(literal))
            literal.clear()
        segments.append(spec)
    if literal:
        segments.append(bytes(literal))
    specs = [segment for segment in segments if isinstance(segment, Spec)]
    return Format(
        template=b"".join(_directive(segment) for segment in segments),
        fields=tuple((spec, _MASKS[spec.bits] if _is_plain(spec) else 0) for spec in specs),
        words=sum(1 + (spec.width is None) + (spec.precision is None) for spec in specs),
        unicode=any(spec.wide for spec in specs),
    )


def _is_plain(spec: Spec) -> bool:
    """An unsigned number without width, precision or flags: what most of a driver's fields are."""
    return spec.type in _PLAIN and spec == Spec(spec.type, width=0, bits=spec.bits)


def _directive(segment: Segment) -> bytes:
    if isinstance(segment, bytes):
        return segment.replace(b"%", b"%%")
    return _PLAIN[segment.type] if _is_plain(segment) else b"%b"


def parse_spec(text: bytes, at: int, *, wide_print: bool = False) -> tuple[Segment, int]:
    """The conversion after a ``%`` and where the text goes on; an unknown type as the text that it is.

    :param wide_print: the text printed is UTF-16: ``c`` and ``s`` are wide, ``C`` and ``S`` narrow.
    """
    flags = set()
    while at < len(text) and text[at] in _FLAGS:
        flags.add(text[at : at + 1])
        at += 1
    width, at = _number(text, at)
    precision: int | None = -1
    if text[at : at + 1] == b".":
        precision, at = _number(text, at + 1)
    bits, wide, narrow, at = _size(text, at)
    kind = text[at : at + 1].decode("latin-1")
    at += 1
    if kind in ("C", "S"):
        # The capital letters mean the other width than the print's, unless a size says which.
        wide, kind = wide if wide_print else not narrow, kind.lower()
    elif kind in ("c", "s") and wide_print:
        wide = not narrow
    elif kind == "p":
        bits = 64
    elif kind not in ("d", "i", "u", "x", "X", "o", "c", "s", "Z", "n"):
        return kind.encode("latin-1"), at
    return (
        Spec(
            type=kind,
            left=b"-" in flags,
            plus=b"+" in flags,
            blank=b" " in flags,
            alternate=b"#" in flags,
            zero=b"0" in flags,
            width=width,
            precision=precision,
            bits=bits,
            wide=wide and kind in ("c", "s", "Z"),
        ),
        at,
    )


def _number(text: bytes, at: int) -> tuple[int | None, int]:
    if text[at : at + 1] == b"*":
        return None, at + 1
    end = at
    while text[end : end + 1].isdigit():
        end += 1
    return min(int(text[at:end] or b"0"), MAX_FIELD), end


def _size(text: bytes, at: int) -> tuple[int, bool, bool, int]:
    """Bits of an integer, wide text, narrow text, and where the type stands."""
    bits, wide, narrow = 32, False, False
    while at < len(text):
        if text.startswith(b"I64", at) or text.startswith(b"ll", at):
            bits, at = 64, at + (3 if text[at : at + 1] == b"I" else 2)
        elif text.startswith(b"I32", at):
            bits, at = 32, at + 3
        elif text[at : at + 1] == b"I":
            bits, at = 64, at + 1  # pointer-sized
        elif text[at : at + 1] == b"h":
            bits, wide, narrow, at = 16, False, True, at + 1
        elif text[at : at + 1] in (b"l", b"w"):
            wide, narrow, at = True, False, at + 1
        else:
            break
    return bits, wide, narrow, at


def render(form: Format, arguments: Sequence[int], memory: Memory) -> bytes:
    """The text, not yet cut.

    :param arguments: the variable arguments as 64-bit words; one that is missing counts as 0.
    :raises MemoryFault: a string lies where nothing is mapped.
    """
    words = iter(arguments)
    values: list[int | bytes] = []
    for spec, mask in form.fields:
        if mask:
            values.append(next(words, 0) & mask)
            continue
        spec = resolve_stars(spec, words)
        values.append(_convert(spec, next(words, 0), memory))
    return form.template % tuple(values)


def resolve_stars(spec: Spec, words: Iterator[int]) -> Spec:
    """The conversion with the width and precision that it takes from arguments."""
    if spec.width is None:
        width = _signed(next(words, 0), 32)
        spec = spec._replace(width=min(abs(width), MAX_FIELD), left=spec.left or width < 0)
    if spec.precision is None:
        precision = _signed(next(words, 0), 32)
        spec = spec._replace(precision=min(precision, MAX_FIELD) if precision >= 0 else -1)
    return spec


def cut(text: bytes) -> bytes:
    """What DbgPrint passes on: all of it, or the first 511 bytes and a line feed."""
    return text if len(text) < BUFFER_SIZE else text[: BUFFER_SIZE - 1] + b"\n"


def to_ansi(utf16: bytes) -> bytes:
    """UTF-16 as the system's ANSI code page (1252) has it; ``?`` for what it has not."""
    return utf16.decode("utf-16-le", "replace").encode("cp1252", "replace")


def _signed(word: int, bits: int) -> int:
    word &= _MASKS[bits]
    return word - (1 << bits) if word >> (bits - 1) else word


def _convert(spec: Spec, word: int, memory: Memory) -> bytes:
    assert spec.width is not None and spec.precision is not None, "stars are resolved by render"
    kind = spec.type
    if kind in "diuxXop":
        return convert_integer(spec, word)
    if kind == "n":
        return b""  # writes through the argument in old run-time libraries; refused here, as in today's
    if kind == "c":
        body = to_ansi(struct.pack("<H", word & 0xFFFF)) if spec.wide else bytes((word & 0xFF,))
    elif kind == "s":
        body = _string(spec, word, memory)
    else:
        body = _counted(spec, word, memory)
    return _pad(body, spec, b"0" if spec.zero else b" ")


def convert_integer(spec: Spec, word: int) -> bytes:
    """An integer as its conversion prints it, padded."""
    precision = spec.precision if spec.precision is not None else -1
    prefix = ""
    if spec.type in "di":
        value = _signed(word, spec.bits)
        digits = str(abs(value))
        prefix = "-" if value < 0 else "+" if spec.plus else " " if spec.blank else ""
    else:
        value = word & _MASKS[spec.bits]
        if spec.type == "p":
            digits, precision = f"{value:X}", 16
        elif spec.type == "o":
            digits = ("0" if spec.alternate and value else "") + f"{value:o}"
        elif spec.type == "u":
            digits = str(value)
        else:
            digits = f"{value:{spec.type}}"
            prefix = f"0{spec.type}" if spec.alternate and value else ""
    if precision == 0 and value == 0:
        digits = ""
    digits = digits.rjust(precision, "0") if precision > 0 else digits
    width = spec.width or 0
    if spec.zero and not spec.left and (precision < 0 or spec.type == "p"):
        digits = digits.rjust(width - len(prefix), "0")
    return _pad((prefix + digits).encode("ascii"), spec, b" ")


def _string(spec: Spec, pointer: int, memory: Memory) -> bytes:
    limit = MAX_FIELD if spec.precision in (-1, None) else spec.precision
    assert limit is not None
    if pointer == 0:
        return _NULL[:limit]
    if spec.wide:
        return to_ansi(memory.wide_string(pointer, limit))
    return memory.c_string(pointer, limit)


def _counted(spec: Spec, pointer: int, memory: Memory) -> bytes:
    """ANSI_STRING or UNICODE_STRING: Length bytes of Buffer, whatever they are. Precision does not apply."""
    if pointer == 0:
        return _NULL
    length, _, _, buffer = _COUNTED_STRING.unpack(memory.load(pointer, _COUNTED_STRING.size))
    if buffer == 0:
        return _NULL
    length = min(length, 2 * MAX_FIELD)
    if spec.wide:
        return to_ansi(memory.load(buffer, length & ~1))
    return memory.load(buffer, length)


def _pad(body: bytes, spec: Spec, fill: bytes) -> bytes:
    width = spec.width or 0
    return body.ljust(width) if spec.left else body.rjust(width, fill)
