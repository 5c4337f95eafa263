"""The JSON Schema of machine files, from the tables that their reader uses."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from harness.callbacks import CALLBACK_KINDS
from harness.machines.access import CHANNELS
from harness.machines.command import COMMAND_KEYS, COMMANDS
from harness.machines.existing import EXISTING_KEYS
from harness.machines.file import COMMON_OPTIONAL_KEYS, HEAD_KEYS, NAME
from harness.machines.libvirt.settings import LIBVIRT_KEYS
from harness.machines.qemu.settings import (
    ACCELERATORS,
    DEBUG_DEVICES,
    DISKS,
    MAX_MEMORY,
    MAX_PROCESSORS,
    MIN_MEMORY,
    NETWORK_CARDS,
    QEMU_KEYS,
)
from harness.machines.reading import MAX_WORDS
from harness.scenario.unreported import MAX_UNREPORTED
from harness.schemas.patterns import CONSTRAINTS, event_pattern
from harness.schemas.values import (
    BOOLEAN,
    DURATION_TEXT,
    TEXT,
    JsonSchema,
    any_of,
    integer,
    items,
    matching,
    ref,
    section,
)

__all__ = ["TYPE_KEYS", "machine_schema"]

TYPE_KEYS: Final = {
    "existing": EXISTING_KEYS,
    "command": COMMAND_KEYS,
    "qemu": QEMU_KEYS,
    "libvirt": LIBVIRT_KEYS,
}
"""Type of machine → its required and its optional keys, on whatever system."""
_OWN_PLACES: Final[dict[str, Container[str]]] = {"qemu": CHANNELS, "libvirt": ("qga",)}
"""Channels whose place a machine makes itself, as its reader says."""
_WORDS: Final = items(TEXT, most=MAX_WORDS)
_VALUES: Final[dict[str, JsonSchema]] = {
    "connection": {
        **TEXT,
        "description": "Where the machine and the debugger meet, written as for WinDbg's -k.",
    },
    "boot_timeout": DURATION_TEXT,
    "command_timeout": DURATION_TEXT,
    **dict.fromkeys(COMMANDS, _WORDS),
    "image": {**TEXT, "description": "The disk, of any format that QEMU knows."},
    "accelerator": {"enum": list(ACCELERATORS), "description": "Without it auto: KVM where it works."},
    "arguments": {**_WORDS, "description": "Further words for QEMU, behind all others."},
    "command_network": {
        "enum": list(NETWORK_CARDS),
        "description": "The card of the second network, which ssh uses; without it e1000e.",
    },
    "disk": {"enum": list(DISKS), "description": "How the disk is attached; without it sata."},
    "firmware": {**TEXT, "description": "A file instead of SeaBIOS, as for -bios."},
    "kdnet": {"enum": list(DEBUG_DEVICES), "description": "The debug device; without it e1000e."},
    "memory": {**integer(MIN_MEMORY, MAX_MEMORY), "description": "In MiB."},
    "processors": integer(1, MAX_PROCESSORS),
    "program": {**TEXT, "description": "QEMU's; without it qemu-system-x86_64."},
    "domain": TEXT,
    "shutdown_timeout": DURATION_TEXT,
    "take_snapshot": BOOLEAN,
    "uri": TEXT,
}
"""Key → its value, where that is the same in every type."""
_TYPE_VALUES: Final[dict[tuple[str, str], JsonSchema]] = {
    ("qemu", "snapshot"): {
        **BOOLEAN,
        "description": "Whether runs begin from a snapshot; false: every one from cold.",
    },
    ("libvirt", "snapshot"): TEXT,
}


def machine_schema() -> JsonSchema:
    """Of a machine file."""
    return {
        "title": "procnotify machine",
        "type": "object",
        "properties": {"type": {"enum": list(TYPE_KEYS)}},
        "required": list(HEAD_KEYS),
        "allOf": [
            {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": _type(kind)}
            for kind in TYPE_KEYS
        ],
        "$defs": {"pattern": event_pattern(CALLBACK_KINDS), **CONSTRAINTS},
    }


def _type(kind: str) -> JsonSchema:
    required, optional = TYPE_KEYS[kind]
    patterns = any_of(ref("pattern"), items(ref("pattern"), most=MAX_UNREPORTED))
    common: dict[str, JsonSchema] = {
        "machine": {**matching(NAME), "description": "Its name, in traces and messages."},
        "type": {"const": kind},
        "guest": _guest(_OWN_PLACES.get(kind, ())),
        "reports": {
            **section({"not": patterns}, required=("not",)),
            "description": "What its system does not report.",
        },
    }
    keys = (*HEAD_KEYS, *required, *optional, *COMMON_OPTIONAL_KEYS)
    values = {key: common.get(key) or _TYPE_VALUES.get((kind, key)) or _VALUES[key] for key in keys}
    return section(values, required=(*HEAD_KEYS, *required))


def _guest(own_places: Container[str]) -> JsonSchema:
    found = []
    for name, form in CHANNELS.items():
        keys: dict[str, JsonSchema] = {"channel": {"const": name}, "folder": TEXT, "helper": TEXT}
        for key in (*form.required, *form.optional):
            keys[key] = {"enum": list(form.choices[key])} if key in form.choices else TEXT
        required = ["channel", *form.required]
        if name not in own_places:
            keys["address"] = TEXT
            required.append("address")
        found.append(section(keys, required=required))
    return any_of(*found)
