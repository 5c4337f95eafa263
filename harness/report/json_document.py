"""What a command says with ``--json``: one versioned JSON document. ``docs/json.md`` has the shapes."""

from __future__ import annotations

import enum
import json
import os
import re

__all__ = ["JSON_FORMAT", "json_document"]

JSON_FORMAT = 1
"""Version of the shapes; it grows when a key is taken away or changes its meaning, not when one is added."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def json_document(command: str, **body: object) -> str:
    """The document of a command, in ASCII and without a line end.

    :param command: the words that called it, ``run`` or ``driver build``.
    :param body: the command's own keys. Paths become text; half a surrogate pair, which a file name that is
        no UTF-8 has in Python and no reader of JSON takes, becomes its escape ``\\\\udcXX`` in the text.
    :raises TypeError: a value that JSON has no form for.
    :raises ValueError: a number that JSON has no form for (NaN, an infinity).
    """
    document = {"format": JSON_FORMAT, "command": command, **body}
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: object) -> object:
    """``value`` of types that JSON has, without half surrogate pairs."""
    match value:
        case enum.Enum():
            return _plain(value.value)
        case os.PathLike():
            return _plain(os.fspath(value))
        case str():
            return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
        case dict():
            return {_plain(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
