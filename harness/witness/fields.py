"""Which fields of a line can be held against a call, and whether they say the same."""

from __future__ import annotations

from typing import Final, TypeAlias

from harness.events import Event, ImageLoad, kind_of

__all__ = [
    "COMPARED",
    "FieldSet",
    "Signature",
    "fields_carried",
    "image_token",
    "same_fields",
    "same_value",
    "signature",
]

COMPARED: Final[dict[str, tuple[str, ...]]] = {
    "process_create": ("pid", "parent_pid", "creating_pid", "creating_tid"),
    "process_exit": ("pid", "context_pid", "context_tid"),
    "thread_create": ("pid", "tid", "creating_pid", "creating_tid"),
    "thread_exit": ("pid", "tid", "context_pid", "context_tid"),
    "image_load": ("pid", "base", "size", "context_pid", "context_tid"),
}
"""Kind → numbers that a line may carry and a call has. The clock and the processor are not among them: a
driver reads them when it likes."""
FieldSet: TypeAlias = tuple[str, ...]
Signature: TypeAlias = tuple[object, ...]

_LOW: Final = (1 << 32) - 1
_SHORT_NAMES: Final = (14, 15)
"""Characters that EPROCESS.ImageFileName has room for, in versions of Windows."""
_SHORTEST_CUT: Final = 16
"""Characters from which on a text may be the beginning of a longer one, cut off by a buffer."""


def fields_carried(event: Event) -> FieldSet:
    """The numbers of a line's event that can be compared."""
    return tuple(name for name in COMPARED[kind_of(event)] if getattr(event, name) is not None)


def signature(event: Event, fields: FieldSet) -> Signature:
    """What an event has in some fields, by the lower 32 bits: equal for a line and a call that say the same,
    and now and then for others."""
    return tuple(_LOW & value if isinstance(value := getattr(event, name), int) else value for name in fields)


def same_image(printed: Event, called: Event) -> bool:
    """Whether the line's name can be the call's; also where one of them has none to compare."""
    name, whole = getattr(printed, "image", None), getattr(called, "image", None)
    if whole is None or name == "" or (name is None and not isinstance(printed, ImageLoad)):
        return True
    return name is not None and _is_name_of(name, whole)


def same_fields(printed: Event, called: Event, fields: FieldSet) -> bool:
    """Whether line and call say the same of these fields, and of the name."""
    return all(_same_number(getattr(printed, name), getattr(called, name)) for name in fields) and same_image(
        printed, called
    )


def image_token(event: Event) -> str:
    """What two spellings of one name mostly have in common; a help to find a call, and no more."""
    name = getattr(event, "image", None)
    return name.rpartition("\\")[2].casefold() if isinstance(name, str) else ""


def same_value(field: str, printed: Event, called: Event) -> bool:
    """Whether line and call say the same of one field."""
    if field == "image":
        return same_image(printed, called)
    return _same_number(getattr(printed, field), getattr(called, field))


def _same_number(printed: int | None, called: int | None) -> bool:
    """The lower 32 bits of an address are all that some drivers print."""
    if printed == called:
        return True
    return printed is not None and called is not None and printed <= _LOW and printed == called & _LOW


def _is_name_of(name: str, whole: str) -> bool:
    """A driver may print the last component, or what fits a buffer; other characters than ASCII it prints in
    an encoding of its own."""
    if not whole.isascii():
        return True
    name, whole = name.casefold(), whole.casefold()
    last = whole.rpartition("\\")[2]
    return (
        name == whole
        or whole.endswith("\\" + name.rpartition(":")[2].lstrip("\\"))
        or (len(name) in _SHORT_NAMES and last.startswith(name))
        or (len(name) >= _SHORTEST_CUT and whole.startswith(name))
    )
