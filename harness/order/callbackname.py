"""Which of the driver's functions an event is of, as far as its line or its call tells."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.callbacks import CALLBACK_KINDS, group_of_event
from harness.events import Driver, Event, Print

__all__ = ["callback_of", "callback_of_kinds"]

_LOOKED_AT = 512
"""Characters of a line in which a name is looked for."""
_COMMON = frozenset(Print.__struct_fields__)
"""Fields that every event has; none of them is a text of the target's but the line itself."""
_SEPARATOR = re.compile(r"[\\/\"']")
"""In a path, or where something is quoted."""
_NAME = re.compile(
    r"(?<![\w\[$.])(?:On[A-Z][A-Za-z0-9_]*|[A-Za-z_]\w*(?:Notify|Callback|Routine)\w*)(?![\w\].])"
)
"""What functions are called that are registered with a kernel: ``OnProcess``, ``ProcessNotifyRoutine``."""


def callback_of(event: Event) -> str:
    """The driver's function, as its line names it before any path or text of the target's:
    ``OnCreateProcess``; where the routine lies, as the call
    has it: ``driver.sys+0x1040``; empty where neither tells."""
    if isinstance(event, Driver):
        return event.function
    if event.call is not None:
        return f"{event.call.driver}+0x{event.call.routine:x}"
    found = _NAME.search(_own_words(event))
    return found[0] if found is not None else ""


def _own_words(event: Event) -> str:
    """The beginning of the line, up to the first text in it that may come from elsewhere than the driver: a
    path, a quotation, a text that the event has as a field. Whoever runs on the target may choose those."""
    line = event.line
    for name in event.__struct_fields__:
        text = getattr(event, name)
        if name not in _COMMON and isinstance(text, str) and text:
            line = line.partition(text)[0]
    separator = _SEPARATOR.search(line, 0, _LOOKED_AT)
    if separator is None:
        return line[:_LOOKED_AT]
    return line[: line.rfind(" ", 0, separator.start()) + 1]


def callback_of_kinds(types: Iterable[type[Event]], events: Iterable[Event]) -> str:
    """The function that would have told of an event of one of these types: the one that told of the first of
    them, else of another event that the same notify routine is called for; empty where none came."""
    wanted = frozenset(types)
    groups = {row.group.name for row in CALLBACK_KINDS.values() if row.event in wanted}
    akin = ""
    for event in events:
        if type(event) in wanted and (name := callback_of(event)):
            return name
        if not akin and group_of_event(event) in groups:
            akin = callback_of(event)
    return akin
