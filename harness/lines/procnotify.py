"""The lines of our own driver and of the guest helper.

The grammar is public: other drivers print it too, so the tail ``{seq=.. t=.. cpu=.. by=pid.tid}`` of ours is
optional and ``<Function>`` is any identifier.
"""

from __future__ import annotations

import re

from harness.events import (
    Driver,
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
    Totals,
)
from harness.lines.grammar import Field, Form, Grammar, Piece, Splits

__all__ = ["PROCNOTIFY", "parse"]

_U64 = 1 << 64
_IDENTIFIER = r"[A-Za-z_]\w*(?:::~?\w+)*"  # MSVC's __FUNCTION__ in C++ carries the class
_PART = re.compile(r"\[procnotify\] part\(([0-9]{1,4})/([0-9]{1,4})\) seq\(([0-9]{1,20})\) (.*)", re.DOTALL)
_COUNTER = r"[a-z][a-z0-9_]{0,63}=[0-9]{1,20}"


def _u64(text: str) -> int:
    number = int(text, 16) if text.startswith("0x") else int(text)
    if number >= _U64:
        raise ValueError("a number of 64 bits")
    return number


def _image(text: str) -> str | None:
    return None if text == "(null)" else text


def _totals(text: str) -> Totals:
    totals: Totals = {}
    for counter in text.split(" "):
        kind, _, count = counter.partition("=")
        if kind in totals:
            raise ValueError(f"one counter {kind}")
        totals[kind] = _u64(count)
    return totals


def _decimal(name: str) -> Field:
    return Field(name, "[0-9]{1,20}", _u64, "a decimal number")


def _hexadecimal(name: str, before: str = "", *, absent: bool = False) -> Field:
    words = f"'{before}0x' and hexadecimal digits"
    return Field(name, "0x[0-9A-Fa-f]{1,16}", _u64, words, before, absent)


def _identifier(name: str) -> Field:
    return Field(name, _IDENTIFIER, str, "an identifier")


def _tail(by_pid: str, by_tid: str, *extra: Piece) -> tuple[Piece, ...]:
    """Our driver's addition to a line; ``by`` is the thread in whose context the callback ran."""
    return (
        *(" {seq=", _decimal("seq"), " t=", _decimal("time"), " cpu=", _decimal("cpu")),
        *(" by=", _decimal(by_pid), ".", _decimal(by_tid), *extra, "}"),
    )


_TAG = "[procnotify] "
_PID, _TID = ("PID(", _decimal("pid"), ")"), ("TID(", _decimal("tid"), ")")
_CREATING, _CONTEXT = _tail("creating_pid", "creating_tid"), _tail("context_pid", "context_tid")
_DRIVER_TAIL = _tail("", "")


def _callback(event: type[Event], *pieces: Piece, tail: tuple[Piece, ...]) -> Form:
    return Form(event, (_TAG, _identifier(""), " ", *pieces), tail)


def _driver(*pieces: Piece, status: int | None = None) -> Form:
    constants = {} if status is None else {"status": status}
    return Form(Driver, (_TAG, _identifier("function"), " ", *pieces), _DRIVER_TAIL, constants)


def _marker(phase: str, *more: Piece) -> Form:
    action = Field("action", "[a-z][a-z-]*", str, "an action")
    pieces: tuple[Piece, ...] = (action, " id=", _decimal("step"), " pid=", _decimal("pid"))
    return Form(Marker, ("[actor] ", f"{phase} ", *pieces, *more), constants={"phase": phase})


PROCNOTIFY = Grammar(
    "procnotify",
    (
        _callback(
            ThreadCreate,
            *(*_TID, " was created in ", *_PID, " by PID(", _decimal("creating_pid"), ")"),
            tail=_tail("", "creating_tid"),
        ),
        _callback(
            ImageLoad,
            *(*_PID, " loaded a/an ", Field("image", ".*", _image, "an image's path"), " at "),
            _hexadecimal("base"),
            tail=_tail("context_pid", "context_tid", _hexadecimal("size", " size=", absent=True)),
        ),
        _callback(ThreadExit, *_TID, " in ", *_PID, " was terminated", tail=_CONTEXT),
        _callback(ProcessCreate, "PPID(", _decimal("parent_pid"), ") created ", *_PID, tail=_CREATING),
        _callback(ProcessExit, *_PID, " was terminated", tail=_CONTEXT),
        _driver(_identifier("routine"), " success", status=0),
        _driver("- ", _identifier("routine"), " failed (status: ", _hexadecimal("status"), ")"),
        _driver(
            "totals ", Field("totals", f"{_COUNTER}(?: {_COUNTER})*", _totals, "counters, each kind=number")
        ),
        _marker("begin"),
        _marker("end", " status=", _decimal("status")),
    ),
    tail=_tail("", "", Field("", "[^{}]*", str, "more fields")),
    splits=Splits(_TAG, _PART),
)
"""The grammar of our driver and of the guest helper."""

parse = PROCNOTIFY.parse
"""The event that one line of our own grammar reports."""
