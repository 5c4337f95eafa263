"""Formatted output of the C run-time library, narrow and wide.

Narrow output is DbgPrint's (:mod:`harness.virtual.kernel.dbgprint`). What does not fit ends as Microsoft says
of each family: ``_snprintf`` fills the buffer and leaves the NUL out, ``sprintf_s`` empties it,
``_snprintf_s`` cuts with _TRUNCATE or a smaller count; all then answer -1. Source: Microsoft, *C Run-Time
Library Reference* (_snprintf, _vsnwprintf, sprintf_s, _snprintf_s ...). A kernel has no invalid-parameter
handler: a mistake in the arguments is said by the result alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from harness.virtual.kernel.dbgprint import MAX_FORMAT
from harness.virtual.kernel.exports.dbg import demand_level_of_unicode_formats, format_text
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.kernel.varargs import VarArgs
from harness.virtual.kernel.wideformat import compile_wide_format, render_wide

__all__: list[str] = []

_NO_LIMIT: Final = 1 << 20
"""Characters that the functions without a size write at most."""
_MINUS_ONE: Final = 0xFFFF_FFFF
_TRUNCATE: Final = 0xFFFF_FFFF_FFFF_FFFF
_NARROW, _WIDE = 1, 2


class _Text(NamedTuple):
    """What is printed, and how many bytes a character of it has."""

    raw: bytes
    width: int

    @property
    def length(self) -> int:
        return len(self.raw) // self.width

    def first(self, count: int) -> bytes:
        return self.raw[: count * self.width]

    @property
    def nul(self) -> bytes:
        return bytes(self.width)


def _format(system: System, width: int, form: int, arguments: VarArgs) -> _Text:
    if width == _NARROW:
        return _Text(format_text(system, form, arguments), width)
    wide = compile_wide_format(system.memory.wide_string(form, MAX_FORMAT))
    if wide.narrow:
        demand_level_of_unicode_formats(system)
    return _Text(render_wide(wide, arguments.take(wide.words), system.memory), width)


def _listed(system: System, list_address: int) -> VarArgs:
    return VarArgs(system.memory, (), list_address)


def _fill(system: System, buffer: int, count: int, text: _Text) -> int:
    """_snprintf: the length, or -1 and no NUL where the text does not fit."""
    if text.length > count:
        system.memory.store(buffer, text.first(count))
        return _MINUS_ONE
    system.memory.store(buffer, text.raw + text.nul if text.length < count else text.raw)
    return text.length


def _checked(
    system: System, target: tuple[int, int], count: int, width: int, form: int, arguments: VarArgs
) -> int:
    """sprintf_s and _snprintf_s: the length, or -1 for a mistake, a text that does not fit or was cut.

    :param target: the buffer and its size in characters.
    :param count: characters at most; :data:`_NO_LIMIT` for all that fit, else the text is too long.
    """
    buffer, size = target
    if not buffer or not size or not form:
        return _MINUS_ONE
    text = _format(system, width, form, arguments)
    if text.length > count and count < size:
        system.memory.store(buffer, text.first(count) + text.nul)
        return _MINUS_ONE
    if text.length >= size:
        kept = text.first(size - 1) if count == _TRUNCATE else b""
        system.memory.store(buffer, kept + text.nul)
        return _MINUS_ONE
    system.memory.store(buffer, text.raw + text.nul)
    return text.length


@export("_snprintf", 3, variadic=True)
def snprintf(system: System, buffer: int, count: int, form: int, arguments: VarArgs) -> int:
    return _fill(system, buffer, count, _format(system, _NARROW, form, arguments))


@export("_vsnprintf", 4)
def vsnprintf(system: System, buffer: int, count: int, form: int, list_address: int) -> int:
    return _fill(system, buffer, count, _format(system, _NARROW, form, _listed(system, list_address)))


@export("_snwprintf", 3, variadic=True)
def snwprintf(system: System, buffer: int, count: int, form: int, arguments: VarArgs) -> int:
    return _fill(system, buffer, count, _format(system, _WIDE, form, arguments))


@export("_vsnwprintf", 4)
def vsnwprintf(system: System, buffer: int, count: int, form: int, list_address: int) -> int:
    return _fill(system, buffer, count, _format(system, _WIDE, form, _listed(system, list_address)))


@export("sprintf", 2, variadic=True)
def sprintf(system: System, buffer: int, form: int, arguments: VarArgs) -> int:
    return _fill(system, buffer, _NO_LIMIT, _format(system, _NARROW, form, arguments))


@export("vsprintf", 3)
def vsprintf(system: System, buffer: int, form: int, list_address: int) -> int:
    return vsnprintf(system, buffer, _NO_LIMIT, form, list_address)


@export("swprintf", "_swprintf", 2, variadic=True)
def swprintf(system: System, buffer: int, form: int, arguments: VarArgs) -> int:
    """The kernel's takes no size."""
    return _fill(system, buffer, _NO_LIMIT, _format(system, _WIDE, form, arguments))


@export("_vswprintf", 3)
def vswprintf(system: System, buffer: int, form: int, list_address: int) -> int:
    return vsnwprintf(system, buffer, _NO_LIMIT, form, list_address)


@export("sprintf_s", 3, variadic=True)
def sprintf_s(system: System, buffer: int, size: int, form: int, arguments: VarArgs) -> int:
    return _checked(system, (buffer, size), _NO_LIMIT, _NARROW, form, arguments)


@export("vsprintf_s", 4)
def vsprintf_s(system: System, buffer: int, size: int, form: int, list_address: int) -> int:
    return _checked(system, (buffer, size), _NO_LIMIT, _NARROW, form, _listed(system, list_address))


@export("swprintf_s", 3, variadic=True)
def swprintf_s(system: System, buffer: int, size: int, form: int, arguments: VarArgs) -> int:
    return _checked(system, (buffer, size), _NO_LIMIT, _WIDE, form, arguments)


@export("vswprintf_s", 4)
def vswprintf_s(system: System, buffer: int, size: int, form: int, list_address: int) -> int:
    return _checked(system, (buffer, size), _NO_LIMIT, _WIDE, form, _listed(system, list_address))


@export("_snprintf_s", 4, variadic=True)
def snprintf_s(system: System, buffer: int, size: int, count: int, form: int, arguments: VarArgs) -> int:
    return _checked(system, (buffer, size), count, _NARROW, form, arguments)


@export("_vsnprintf_s", 5)
def vsnprintf_s(system: System, buffer: int, size: int, count: int, form: int, list_address: int) -> int:
    return _checked(system, (buffer, size), count, _NARROW, form, _listed(system, list_address))


@export("_snwprintf_s", 4, variadic=True)
def snwprintf_s(system: System, buffer: int, size: int, count: int, form: int, arguments: VarArgs) -> int:
    return _checked(system, (buffer, size), count, _WIDE, form, arguments)


@export("_vsnwprintf_s", 5)
def vsnwprintf_s(system: System, buffer: int, size: int, count: int, form: int, list_address: int) -> int:
    return _checked(system, (buffer, size), count, _WIDE, form, _listed(system, list_address))
