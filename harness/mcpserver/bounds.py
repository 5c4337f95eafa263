"""Documents cut to a size: long lists and texts lose their end, and the document says where."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["MAX_CHARACTERS", "bounded"]

MAX_CHARACTERS: Final = 60_000
"""Of a tool's answer, written as JSON."""
_TEXT_AN_ITEM: Final = 100
"""A text may have so many characters for each item that a list may have."""


def bounded(document: dict[str, Any], limit: int = MAX_CHARACTERS) -> dict[str, Any]:
    """The document, if need be with every list and text cut to the same length, as long as fits.

    What was cut is named in its key ``cut``: the place → how many items or characters are missing.
    """
    for items in (1_000, 300, 100, 30, 10, 3, 1):
        cut: dict[str, int] = {}
        found = _cut(document, "$", items, cut)
        if cut:
            found["cut"] = dict(list(cut.items())[:items])
        if len(json.dumps(found)) <= limit:
            return dict(found)
    head = {key: value for key, value in document.items() if isinstance(value, int | bool | None)}
    return {**head, "cut": {"$": len(document) - len(head)}}


def _cut(value: Any, place: str, items: int, cut: dict[str, int]) -> Any:
    match value:
        case dict():
            kept = dict(list(value.items())[: items * 30])  # a document's own keys are fewer
            if len(kept) < len(value):
                cut[place] = len(value) - len(kept)
            return {key: _cut(item, f"{place}.{key}", items, cut) for key, item in kept.items()}
        case list():
            if len(value) > items:
                cut[place] = len(value) - items
            return [_cut(item, f"{place}[{index}]", items, cut) for index, item in enumerate(value[:items])]
        case str() if len(value) > items * _TEXT_AN_ITEM:
            cut[place] = len(value) - items * _TEXT_AN_ITEM
            return value[: items * _TEXT_AN_ITEM]
        case _:
            return value
