"""Machine files: where the driver runs, written in YAML and checked like a scenario.

::

    machine: lab                                    its name, in traces and messages
    type: existing                                  or another of MACHINE_TYPES
    connection: net:port=50000,key=1.2.3.4          as for WinDbg's -k
    guest: {channel: qga, address: /run/vm/qga.sock}
    reports: {not: [thread_exit: any]}              what its system does not report; of every type
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from harness.errors import MachineFileError
from harness.machines.base import LimitedMachine, Machine
from harness.machines.command import COMMAND_KEYS, read_command
from harness.machines.existing import EXISTING_KEYS, read_existing
from harness.machines.reading import MachineType
from harness.scenario.model import Pattern
from harness.scenario.unreported import read_unreported
from harness.yamlfile.nodes import MapNode, Node, Source
from harness.yamlfile.parse import parse_yaml, read_text

__all__ = ["COMMON_OPTIONAL_KEYS", "HEAD_KEYS", "MACHINE_TYPES", "NAME", "load_machine", "parse_machine"]

MACHINE_TYPES: Final[dict[str, MachineType]] = {
    "existing": MachineType(read_existing, *EXISTING_KEYS),
    "command": MachineType(read_command, *COMMAND_KEYS),
}
"""Every type of machine that a file can describe on this system."""
if sys.platform != "win32":
    # QEMU's monitor, and libvirt's daemon, are at Unix sockets.
    from harness.machines.libvirt.machine import read_libvirt
    from harness.machines.libvirt.settings import LIBVIRT_KEYS
    from harness.machines.qemu.machine import read_qemu
    from harness.machines.qemu.settings import QEMU_KEYS

    MACHINE_TYPES["qemu"] = MachineType(read_qemu, *QEMU_KEYS)
    MACHINE_TYPES["libvirt"] = MachineType(read_libvirt, *LIBVIRT_KEYS)
HEAD_KEYS: Final = ("machine", "type")
"""Required of every type."""
COMMON_OPTIONAL_KEYS: Final = ("reports",)
"""What every type may have."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
"""Of a machine."""


def load_machine(path: Path) -> Machine:
    """The machine that a file describes, not started yet.

    :raises MachineFileError: the file cannot be read or is wrong; with file, line and the way out. Of several
        mistakes it is the first, which carries the others.
    """
    return parse_machine(read_text(Source(path, MachineFileError)), path)


def parse_machine(text: str, path: Path) -> Machine:
    """The machine that ``text`` describes; ``path`` is for its errors, and what it names lies beside it.

    :raises MachineFileError: the first mistake in it, which carries the others.
    """
    source = Source(path, MachineFileError)
    machine = source.read_all(lambda: _read(source, parse_yaml(text, source)))
    assert machine is not None  # else a mistake was noted
    return machine


def _read(source: Source, root: Node) -> Machine | None:
    name, kind = _head(source, root)
    entries = source.mapping(
        root,
        f"a machine of type {kind}",
        required=(*HEAD_KEYS, *MACHINE_TYPES[kind].required),
        optional=(*MACHINE_TYPES[kind].optional, *COMMON_OPTIONAL_KEYS),
    )
    unreported: tuple[Pattern, ...] = ()
    if "reports" in entries:
        unreported = source.entry(entries, "reports", lambda node: read_unreported(source, node), unreported)
    machine = MACHINE_TYPES[kind].read(source, name, entries)
    if isinstance(machine, LimitedMachine):
        machine.unreported = unreported
    return machine


def _head(source: Source, root: Node) -> tuple[str, str]:
    """Name and type; the type decides which keys there are."""
    if not isinstance(root, MapNode):
        source.mapping(root, "machine file")
    assert isinstance(root, MapNode)
    for key in HEAD_KEYS:
        if key not in root.entries:
            source.fail(root, f"machine file lacks '{key}'", hint=MachineFileError.documentation)
    name, kind = (source.text(root.entries[key], key) for key in HEAD_KEYS)
    if not NAME.fullmatch(name):
        source.fail(
            root.entries["machine"],
            f"'{name}' is not a name for a machine",
            hint="letters, digits, '.', '_', '-'",
        )
    if kind not in MACHINE_TYPES:
        source.fail(
            root.entries["type"], f"no type of machine '{kind}'", hint=source.suggest(kind, MACHINE_TYPES)
        )
    return name, kind
