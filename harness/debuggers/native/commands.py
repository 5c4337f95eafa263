"""The few debugger commands that need neither symbols nor a disassembler, written as WinDbg has them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Final

from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import UsageError

__all__ = ["COMMANDS", "MAX_BYTES", "execute"]

MAX_BYTES: Final = 0x10000
"""Bytes that one command shows at most; WinDbg asks back beyond about as many."""
_DEFAULT_BYTES: Final = 0x80
_ROW: Final = 16
_UNITS: Final[Mapping[str, tuple[int, str]]] = {"db": (1, "B"), "dd": (4, "I"), "dq": (8, "Q")}
"""Command → bytes of a unit, and its letter for :mod:`struct`."""


def execute(debugger: NativeDebugger, command: str) -> str:
    """The output of a command on the halted target.

    :raises UsageError: a command that is not known, or words that do not fit it.
    :raises RigError: the target does not answer, or refuses to read that memory.
    """
    name, *words = command.split()
    known = COMMANDS.get(name)
    if known is None:
        raise UsageError(
            f"the native debugger refuses the command {command!r}: it knows {', '.join(COMMANDS)}",
            hint="--debugger pykd has WinDbg's (`procnotify wine setup`, on Windows `procnotify pykd setup`)",
        )
    return known(debugger, name, words)


def _modules(debugger: NativeDebugger, name: str, words: list[str]) -> str:
    _no_words(name, words)
    lines = ["start             end                 module name"]
    for module in sorted(debugger.modules(), key=lambda module: module.base):
        lines.append(f"{_address(module.base)} {_address(module.base + module.size)}   {module.name}")
    return "\n".join(lines)


def _registers(debugger: NativeDebugger, name: str, words: list[str]) -> str:
    context = debugger.get_context()
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    known = {
        name.removeprefix("seg_"): value
        for name, value in values.items()
        if isinstance(value, int) and name != "context_flags"
    }
    wanted = [word for text in words for word in text.lower().split(",") if word] or list(known)
    for word in wanted:
        if word not in known:
            raise UsageError(f"there is no register {word!r}", hint=f"known: {', '.join(known)}")
    shown = [f"{word}={known[word]:0{_digits(word)}x}" for word in wanted]
    return "\n".join(" ".join(shown[at : at + 4]) for at in range(0, len(shown), 4))


def _memory(debugger: NativeDebugger, name: str, words: list[str]) -> str:
    size, letter = _UNITS[name]
    address, count = _range(name, words, size)
    data = debugger.memory.read(address, count * size)
    return "\n".join(_rows(address, data, size, letter))


COMMANDS: Final[Mapping[str, Callable[[NativeDebugger, str, list[str]], str]]] = {
    "lm": _modules,
    "r": _registers,
    "db": _memory,
    "dd": _memory,
    "dq": _memory,
}
"""Command → what does it."""


def _no_words(name: str, words: list[str]) -> None:
    if words:
        raise UsageError(f"{name} takes nothing here, not {' '.join(words)!r}")


def _range(name: str, words: list[str], size: int) -> tuple[int, int]:
    """Address and number of units of ``ADDRESS [LCOUNT]``, both hexadecimal."""
    usage = f"write {name} ADDRESS or {name} ADDRESS L10, in hexadecimal"
    if not 1 <= len(words) <= 2:
        raise UsageError(f"{name} takes an address", hint=usage)
    address = _hexadecimal(words[0].replace("`", ""), usage)
    count = _DEFAULT_BYTES // size
    if len(words) == 2:
        if words[1][:1] not in ("L", "l"):
            raise UsageError(f"{words[1]!r} is no length", hint=usage)
        count = _hexadecimal(words[1][1:], usage)
    if not 0 < count * size <= MAX_BYTES:
        raise UsageError(f"{count * size} bytes are not shown at once", hint=f"at most {MAX_BYTES}")
    return address, count


def _hexadecimal(text: str, usage: str) -> int:
    if re.fullmatch(r"(?:0x)?[0-9a-fA-F]{1,16}", text, re.ASCII) is None:
        raise UsageError(f"{text!r} is no hexadecimal number", hint=usage)
    return int(text, 16)


def _rows(address: int, data: bytes, size: int, letter: str) -> Iterable[str]:
    for at in range(0, len(data), _ROW):
        piece = data[at : at + _ROW]
        units = struct.unpack(f"<{len(piece) // size}{letter}", piece)
        text = " ".join(f"{unit:0{2 * size}x}" if size < 8 else _address(unit) for unit in units)
        if size == 1:
            seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
            text = f"{text:<47}  {seen}"
        yield f"{_address(address + at)}  {text}"


def _digits(register: str) -> int:
    if len(register) == 2 and register.endswith("s"):
        return 4
    return 16 if register[0] == "r" or register.startswith("dr") else 8


def _address(value: int) -> str:
    """As WinDbg writes 64 bits."""
    return f"{value >> 32:08x}`{value & 0xFFFFFFFF:08x}"
