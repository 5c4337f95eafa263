"""What machine files of every type have, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from harness.connection import Connection, parse_connection
from harness.errors import UsageError
from harness.machines.base import BootOptions, Machine
from harness.yamlfile.nodes import Node, Source

__all__ = [
    "COMMON_KEYS",
    "MAX_WORDS",
    "MachineType",
    "check_boot",
    "read_connection",
    "read_seconds",
    "read_words",
]

COMMON_KEYS: Final = ("connection", "guest")
"""Every type needs them, beside ``machine`` and ``type``."""
MAX_WORDS: Final = 200
"""Of one command line."""
_TICKS: Final = 10_000_000
"""Units of a duration in a second."""


class MachineType(NamedTuple):
    """One value of the key ``type``."""

    read: Callable[[Source, str, Mapping[str, Node]], Machine | None]
    """Makes the machine from the file, its name and its entries; None where it has noted a mistake."""
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


def read_connection(source: Source, node: Node) -> Connection:
    """The key ``connection``, written as for WinDbg's ``-k``."""
    text = source.text(node, "connection")
    try:
        return parse_connection(text)
    except UsageError as error:
        source.fail(node, error.message, hint=error.hint)


def read_seconds(source: Source, entries: Mapping[str, Node], key: str, default: float) -> float:
    """A duration in seconds."""
    return source.entry(entries, key, lambda node: source.duration(node, key) / _TICKS, default)


def read_words(source: Source, entries: Mapping[str, Node], key: str) -> tuple[str, ...]:
    """A list of words, none where the key is missing; at most :data:`MAX_WORDS`."""

    def read(node: Node) -> tuple[str, ...]:
        items = source.list(node, key)
        if len(items) > MAX_WORDS:
            source.fail(node, f"{key} has more than {MAX_WORDS} words")
        return tuple(source.text(item, f"a word of {key}") for item in items)

    return source.entry(entries, key, read, ())


def check_boot(name: str, own: Connection, boot: BootOptions) -> None:
    """What a machine of a file cannot be started for.

    :param own: its connection.
    :raises UsageError: the debugger waits elsewhere.
    """
    if boot.connection != own:
        raise UsageError(
            f"the debugger of the machine {name} cannot wait at a place of its own",
            hint="leave out --connection: the machine file says where they meet",
        )
