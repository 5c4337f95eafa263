"""A quick first look at an event: can it concern a search at all?

Most of a long trace is about processes that nobody asked for. What a search does with an event is exact and
slow; a screen is one cheap test a kind that holds back only what the search would pass over anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypeAlias

from harness.events import Event
from harness.order.patterns import CompiledPattern

__all__ = ["Screens", "screens_of"]

_Screen: TypeAlias = Callable[[Event], bool]
Screens: TypeAlias = dict[type[Event], _Screen]
"""Kind → may an event of it concern the search? A kind that is missing never does."""


def screens_of(
    types: Iterable[type[Event]],
    scope: Sequence[CompiledPattern],
    wanted: Sequence[CompiledPattern] | None,
) -> Screens:
    """Screens that let every event through that is in scope and that a pattern may want.

    :param types: kinds that can be in scope.
    :param scope: the patterns of the scope; none: everything of those kinds.
    :param wanted: the patterns that may want an event; None: every event in scope matters.
    """
    found = {kind: _screen(kind, scope, wanted) for kind in types}
    return {kind: screen for kind, screen in found.items() if screen is not None}


def _screen(
    kind: type[Event], scope: Sequence[CompiledPattern], wanted: Sequence[CompiledPattern] | None
) -> _Screen | None:
    last = _anything if wanted is None else _fits_any(kind, wanted, _anything)
    if last is None or not scope:
        return last
    return _fits_any(kind, scope, last)


def _anything(event: Event) -> bool:
    return True


def _fits_any(kind: type[Event], patterns: Sequence[CompiledPattern], then: _Screen) -> _Screen | None:
    """May an event fit one of ``patterns``, and ``then``? None where none of them is about ``kind``."""
    about = [pattern for pattern in patterns if kind in pattern.types]
    if not about:
        return None
    fits = about[0].may_match if len(about) == 1 else _one_of(about)
    found = _common_number(kind, about)
    if found is None:
        return lambda event: fits(event) and then(event)
    # One look into a set settles nearly every event of a long trace.
    field, numbers = found
    value_of = attrgetter(field)
    return lambda event: value_of(event) in numbers and fits(event) and then(event)


def _one_of(patterns: Sequence[CompiledPattern]) -> _Screen:
    return lambda event: any(pattern.may_match(event) for pattern in patterns)


def _common_number(
    kind: type[Event], patterns: Sequence[CompiledPattern]
) -> tuple[str, frozenset[int]] | None:
    """A field of which every pattern says which numbers it may be, mostly the PID, and all those numbers."""
    for field in patterns[0].numbers:
        if field in kind.__struct_fields__ and all(field in pattern.numbers for pattern in patterns):
            return field, frozenset().union(*(pattern.numbers[field] for pattern in patterns))
    return None
