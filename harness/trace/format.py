"""The trace file: JSON Lines, a header, one event a line, a footer.

::

    {"kind":"header","format":4,"scenario":"notepad-launch","machine":{...},...}
    {"kind":"process_create","index":0,"line":"[procnotify] ...",...}
    ...
    {"kind":"footer","events":812,"counts":{...},"loss":{...},"complete":true,"outcome":"passed",...}

A file without its footer was cut off: it can be read, and the reader says so. Host times (``started``,
``ended``) stand in the header and the footer only, so that the lines between are the same for the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from harness.events import Event, WitnessName
from harness.trace.loss import LossReport

__all__ = ["FORMAT", "Footer", "Header", "Record", "encode", "events_sha256"]

FORMAT = 5
"""Version of the file format; a reader takes the older ones and refuses what is newer.

2: stops and reboots stand among the events, totals name any counters, and the footer says whether the capture
came to its end. 3: so do the places where the connection was closed. 4: an event says who saw it, where that
is not its line, and the footer whose events the order was checked on; a broken standing rule is an event.
5: an event may have been seen by another tool, whose recording was converted; the header says which order the
events of it have, and the footer what was left out."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="header"):
    """Where the events come from. ``None`` and ``{}``: not known."""

    format: int = FORMAT
    scenario: str | None = None
    """Name of the scenario that was run."""
    machine: dict[str, str] = {}
    """What the machine says of itself (:meth:`harness.machines.base.Machine.describe`)."""
    debugger: str | None = None
    """Name and version."""
    driver_sha256: str | None = None
    """SHA-256 of the .sys, in hexadecimal."""
    other_drivers: dict[str, str] = {}
    """Of each driver that was loaded beside it: file name → SHA-256. Their lines are prints of this trace."""
    order: str = ""
    """Which order the events have, where another tool recorded them; empty: that of their capture."""
    unordered: tuple[str, ...] = ()
    """Kinds of events of which that order does not tell when they came."""
    foreign_threads: bool = False
    """Of the creation of threads only that of one which another process makes is told, and not that of the
    first of a process."""
    witness: WitnessName | None = None
    """Who saw all of the events, where that is known before their end."""
    lines: dict[str, str] = {}
    """The line grammar by which prints became events (:func:`harness.grammars.described`)."""
    seed: int | None = None
    host: dict[str, str] = {}
    """Versions of procnotify, Python and the operating system."""
    target: dict[str, str] = {}
    """What the target said at attach: build, machine type, processors."""
    started: str | None = None
    """Host time, ISO 8601."""


class Footer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="footer"):
    """What the writer knew at the end."""

    events: int
    counts: dict[str, int]
    """Events of each kind that occurred."""
    loss: LossReport
    complete: bool | None = None
    """The capture came to its end; False: something ended it early. None: not known (format 1)."""
    outcome: str | None = None
    """How the run ended, in words. What the events mean is for whoever reads them to judge."""
    reason: str = ""
    """Why, in one line."""
    bindings: dict[str, int] = {}
    """What the steps bound, so that a check afterwards agrees with the run."""
    witness: WitnessName = "print"
    """On whose events the order was checked."""
    left_out: dict[str, int] = {}
    """Kinds of records of another tool's recording that are no events here → how many there were."""
    hidden_prints: int = 0
    """How many prints of drivers the target's print filter kept back, where the target can tell."""
    ended: str | None = None
    """Host time, ISO 8601."""


Record: TypeAlias = Event | Footer
"""What may follow the header."""

_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="deterministic")


def encode(record: Header | Record) -> bytes:
    """One line of the file, line end included; the same record always gives the same bytes.

    The mappings of header and footer are sorted by their keys; a driver's totals keep the order of its line.
    """
    encoder = _sorting_encoder if isinstance(record, Header | Footer) else _encoder
    return encoder.encode(record) + b"\n"


def events_sha256(events: Iterable[Event]) -> str:
    """SHA-256 over the lines between header and footer, in hexadecimal."""
    digest = hashlib.sha256()
    for event in events:
        digest.update(encode(event))
    return digest.hexdigest()
