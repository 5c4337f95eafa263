"""The C run-time library's classes of characters, conversions, and functions on the letters of a string.

Source: Microsoft, *C Run-Time Library Reference*. Letters are those of ASCII, as in the C locale; the narrow
code page is 1252.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Final

from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_LIMIT: Final = 1 << 20
"""Most characters that one call looks at."""
_EINVAL, _ERANGE = 22, 34
_MINUS_ONE: Final = 0xFFFF_FFFF
_DIGITS: Final = string.digits + string.ascii_lowercase
_RAND_MAX: Final = 0x7FFF


def _is(kind: str) -> Callable[[System, int], int]:
    codes = frozenset(kind.encode("ascii"))
    return lambda _system, character: int(character & 0xFFFF_FFFF in codes)


export("isdigit", 1)(_is(string.digits))
export("isxdigit", 1)(_is(string.hexdigits))
export("islower", 1)(_is(string.ascii_lowercase))
export("isupper", 1)(_is(string.ascii_uppercase))
export("isspace", 1)(_is(string.whitespace))
export("isprint", 1)(_is("".join(map(chr, range(0x20, 0x7F)))))


def _load(system: System, text: int, width: int, limit: int = _LIMIT) -> bytes:
    memory = system.memory
    return memory.c_string(text, limit) if width == 1 else memory.wide_string(text, limit)


def _characters(raw: bytes, width: int) -> list[bytes]:
    return [raw[at : at + width] for at in range(0, len(raw), width)]


def _raise(raw: bytes, width: int) -> bytes:
    return b"".join(one.upper() if one[1:] in (b"", b"\0") else one for one in _characters(raw, width))


@export("_strupr", 1)
def strupr(system: System, text: int) -> int:
    system.memory.store(text, _raise(_load(system, text, 1), 1))
    return text


@export("_wcsupr", 1)
def wcsupr(system: System, text: int) -> int:
    system.memory.store(text, _raise(_load(system, text, 2), 2))
    return text


@export("_strrev", 1)
def strrev(system: System, text: int) -> int:
    system.memory.store(text, _load(system, text, 1)[::-1])
    return text


@export("_wcsrev", 1)
def wcsrev(system: System, text: int) -> int:
    system.memory.store(text, b"".join(_characters(_load(system, text, 2), 2)[::-1]))
    return text


def _span(system: System, text: int, kinds: int, width: int, *, inside: bool) -> int:
    wanted = set(_characters(_load(system, kinds, width), width))
    found = _characters(_load(system, text, width), width)
    return next((at for at, one in enumerate(found) if (one in wanted) is not inside), len(found))


@export("strspn", 2)
def strspn(system: System, text: int, kinds: int) -> int:
    return _span(system, text, kinds, 1, inside=True)


@export("wcsspn", 2)
def wcsspn(system: System, text: int, kinds: int) -> int:
    return _span(system, text, kinds, 2, inside=True)


@export("wcscspn", 2)
def wcscspn(system: System, text: int, kinds: int) -> int:
    return _span(system, text, kinds, 2, inside=False)


# Numbers.


def _number(text: str, base: int) -> tuple[int, int]:
    """The value of the number at the beginning of a text, and how many characters it takes; 0 of nothing."""
    rest = text.lstrip(string.whitespace)
    at = len(text) - len(rest)
    sign = rest[:1] in ("+", "-")
    digits = rest[sign:].lower()
    at += sign
    if base in (0, 16) and digits[:2] == "0x":
        digits, at, base = digits[2:], at + 2, 16
    base = base or (8 if digits[:1] == "0" else 10)
    value = used = 0
    for digit in digits:
        if digit not in _DIGITS[:base]:
            break
        value, used = value * base + _DIGITS.index(digit), used + 1
    return (-value if rest[:1] == "-" else value, at + used) if used else (0, 0)


@export("_wtoi", "_wtol", 1)
def wtoi(system: System, text: int) -> int:
    value, _ = _number(_load(system, text, 2, 64).decode("utf-16-le", "replace"), 10)
    return signed(value, 32) & 0xFFFF_FFFF


def _to_unsigned(system: System, text: int, end: int, base: int, width: int, bits: int) -> int:
    base &= 0xFFFF_FFFF
    if base == 1 or base > len(_DIGITS):
        return 0
    raw = _load(system, text, width, _LIMIT)
    value, used = _number(raw.decode("latin-1" if width == 1 else "utf-16-le", "replace"), base)
    if end:
        system.memory.put_u64(end, text + used * width)
    most = (1 << bits) - 1
    return most if abs(value) > most else value & most


@export("wcstoul", 3)
def wcstoul(system: System, text: int, end: int, base: int) -> int:
    return _to_unsigned(system, text, end, base, 2, 32)


@export("_strtoui64", 3)
def strtoui64(system: System, text: int, end: int, base: int) -> int:
    return _to_unsigned(system, text, end, base, 1, 64)


def _digits(value: int, base: int, bits: int, *, has_sign: bool) -> str:
    value &= (1 << bits) - 1
    minus = has_sign and base == 10 and value >> (bits - 1)
    left = (1 << bits) - value if minus else value
    text = ""
    while left or not text:
        left, digit = divmod(left, base)
        text = _DIGITS[digit] + text
    return "-" + text if minus else text


def _declare_integer_to_text(stem: str, bits: int, *, has_sign: bool) -> None:
    """``_itoa_s`` and ``_itow_s``, and their relatives of other integers."""

    def handler(width: int) -> Callable[[System, int, int, int, int], int]:
        def to_text(system: System, value: int, buffer: int, size: int, base: int) -> int:
            if not buffer or not size:
                return _EINVAL
            base &= 0xFFFF_FFFF
            result = _EINVAL
            if 2 <= base <= len(_DIGITS):
                text = _digits(value, base, bits, has_sign=has_sign)
                raw = (text + "\0").encode("ascii" if width == 1 else "utf-16-le")
                if len(text) < size:
                    system.memory.store(buffer, raw)
                    return 0
                result = _ERANGE
            system.memory.store(buffer, bytes(width))
            return result

        return to_text

    export(f"{stem}a_s", 4)(handler(1))
    export(f"{stem}w_s", 4)(handler(2))


_declare_integer_to_text("_ito", 32, has_sign=True)
_declare_integer_to_text("_lto", 32, has_sign=True)
_declare_integer_to_text("_ulto", 32, has_sign=False)
_declare_integer_to_text("_i64to", 64, has_sign=True)
_declare_integer_to_text("_ui64to", 64, has_sign=False)


@export("_itoa", 3)
def itoa(system: System, value: int, buffer: int, base: int) -> int:
    base = min(max(base & 0xFFFF_FFFF, 2), len(_DIGITS))
    system.memory.store(buffer, _digits(value, base, 32, has_sign=True).encode("ascii") + b"\0")
    return buffer


@export("_itow", 3)
def itow(system: System, value: int, buffer: int, base: int) -> int:
    base = min(max(base & 0xFFFF_FFFF, 2), len(_DIGITS))
    system.memory.store(buffer, (_digits(value, base, 32, has_sign=True) + "\0").encode("utf-16-le"))
    return buffer


@export("rand", 0)
def rand(system: System) -> int:
    """One sequence for the whole kernel, as there."""
    system.random_seed = (system.random_seed * 214013 + 2531011) & 0xFFFF_FFFF
    return system.random_seed >> 16 & _RAND_MAX


@export("srand", 1)
def srand(system: System, seed: int) -> None:
    system.random_seed = seed & 0xFFFF_FFFF


# Between the two widths.


@export("mbstowcs", 3)
def mbstowcs(system: System, wide: int, text: int, count: int) -> int:
    """Without a destination the length that is needed."""
    raw = _load(system, text, 1)
    if wide:
        kept = min(len(raw), count)
        ended = raw[:kept] + (b"\0" if kept < count else b"")
        system.memory.store(wide, ended.decode("cp1252", "replace").encode("utf-16-le"))
        return kept
    return len(raw)


@export("wcstombs", 3)
def wcstombs(system: System, text: int, wide: int, count: int) -> int:
    """-1 of a text with a character that the code page lacks; without a destination the length."""
    try:
        raw = _load(system, wide, 2).decode("utf-16-le").encode("cp1252")
    except UnicodeError:
        return 0xFFFF_FFFF_FFFF_FFFF
    if text:
        kept = min(len(raw), count)
        system.memory.store(text, raw[:kept] + (b"\0" if kept < count else b""))
        return kept
    return len(raw)


@export("mbtowc", 3)
def mbtowc(system: System, wide: int, text: int, count: int) -> int:
    if not text or not count:
        return 0
    character = system.memory.load(text, 1)
    if wide:
        system.memory.store(wide, character.decode("cp1252", "replace").encode("utf-16-le"))
    return int(character != b"\0")


@export("wctomb", 2)
def wctomb(system: System, text: int, character: int) -> int:
    if not text:
        return 0
    try:
        system.memory.store(text, chr(character & 0xFFFF).encode("cp1252"))
    except UnicodeError:
        return _MINUS_ONE
    return 1
