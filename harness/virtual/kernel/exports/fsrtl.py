"""File system run-time library: names with wildcards.

Source: Microsoft, *FsRtlIsNameInExpression* (ntifs.h), with its table of wildcards.
"""

from __future__ import annotations

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.system import System

__all__ = ["is_name_in_expression"]

_STAR, _QM, _DOS_STAR, _DOS_QM, _DOS_DOT = "*", "?", "<", ">", '"'


def is_name_in_expression(expression: str, name: str) -> bool:
    """The name matches. ``*`` takes any characters, ``?`` one; ``<`` takes any but the last full stop, ``>``
    one that is no full stop, or none before one and at the end, ``"`` a full stop, or nothing at the end."""
    last_dot = name.rfind(".")
    states = _with_empty(expression, {0}, at_end=not name, before_dot=name[:1] == ".")
    for at, character in enumerate(name):
        reached: set[int] = set()
        for state in states:
            wanted = expression[state] if state < len(expression) else ""
            if wanted == _STAR or (wanted == _DOS_STAR and at != last_dot):
                reached.add(state)
            elif wanted in (_QM, character) or _is_dos_match(wanted, character):
                reached.add(state + 1)
        rest = name[at + 1 :]
        states = _with_empty(expression, reached, at_end=not rest, before_dot=rest[:1] == ".")
    return len(expression) in states


def _is_dos_match(wanted: str, character: str) -> bool:
    return wanted == (_DOS_DOT if character == "." else _DOS_QM)


def _with_empty(expression: str, states: set[int], *, at_end: bool, before_dot: bool) -> set[int]:
    """The states and those that are reached from them without a character."""
    found, left = set(states), list(states)
    while left:
        state = left.pop()
        wanted = expression[state] if state < len(expression) else ""
        empty = (
            wanted in (_STAR, _DOS_STAR)
            or (wanted == _DOS_QM and (at_end or before_dot))
            or (wanted == _DOS_DOT and at_end)
        )
        if wanted and empty and state + 1 not in found:
            found.add(state + 1)
            left.append(state + 1)
    return found


@export("FsRtlIsNameInExpression", 4)
def fs_rtl_is_name_in_expression(
    system: System, expression: int, name: int, ignore_case: int, _table: int
) -> int:
    """With IgnoreCase the expression has to be in upper case already."""
    text = read_unicode_string(system, name)
    text = "".join(c.upper() if len(c.upper()) == 1 else c for c in text) if ignore_case & 0xFF else text
    return int(is_name_in_expression(read_unicode_string(system, expression), text))
