"""A recording, whoever made it, written anew as a trace of the project's own format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from harness.errors import UsageError
from harness.files import cannot_write, same_file, whole_file
from harness.trace.columns import SUFFIX, ColumnStore
from harness.trace.format import FORMAT, Footer, Header
from harness.trace.readable import Readable
from harness.trace.sources import TraceSource
from harness.trace.writer import JsonLines, RecordStore, TraceWriter

__all__ = ["Conversion", "convert"]

_CHUNK: Final = 4096


@dataclass(frozen=True)
class Conversion:
    """What was written."""

    header: Header
    footer: Footer | None
    """None: whether the recording holds all that it once held is not known."""
    counts: dict[str, int]
    """Events of each kind that occurred."""
    damage: str
    """Where the recording is damaged, so that what follows is missing; empty: nowhere."""


def convert(
    source: TraceSource, out: Path, *, force: bool = False, progress: Callable[[int], None] | None = None
) -> Conversion:
    """Write the events of ``source`` to ``out``, which appears whole or not at all.

    Of a recording that is damaged everything up to there is written, and the footer says so.

    :param out: a Parquet table (:mod:`harness.trace.columns`) where its name ends in ``.parquet``.
    :param force: replace a file that is there.
    :param progress: called with the number of events so far.
    :raises UsageError: the file is there, is the recording itself or cannot be written, or is to be Parquet
        without pyarrow.
    :raises TraceError: the disk is full.
    """
    if out.exists() and not out.is_file():
        raise UsageError(f"{out} is no file", hint="name the trace to be written")
    if same_file(source.path, out):
        raise UsageError(f"{out} is the recording itself", hint="choose another file")
    if out.exists() and not force:
        raise UsageError(f"{out} is there already", hint="replace it with --force, or choose another file")
    store = ColumnStore if out.suffix.lower() == SUFFIX else JsonLines
    try:
        with whole_file(out) as beside:
            return _write(source, beside, store, progress or (lambda events: None))
    except OSError as error:  # of the place: what cannot be read is a TraceError
        raise cannot_write(out, error) from None


def _write(
    source: TraceSource,
    path: Path,
    store: Callable[[BinaryIO], RecordStore],
    progress: Callable[[int], None],
) -> Conversion:
    header = msgspec.structs.replace(source.header, format=FORMAT)
    readable = Readable(source)
    events = iter(readable)
    written = 0
    with TraceWriter(path, header, store) as writer:
        while chunk := list(islice(events, _CHUNK)):
            writer.write(chunk)
            written += len(chunk)
            progress(written)
        said = source.footer
        if said is None and not readable.damage:
            return Conversion(header, None, writer.counts, "")
        footer = writer.finish(
            complete=False if readable.damage else said.complete if said else None,
            outcome=said.outcome if said else "rig failed",
            reason=said.reason if said else readable.damage,
            bindings=said.bindings if said else None,
            witness=said.witness if said else header.witness or "print",
            left_out=said.left_out if said else None,
            hidden_prints=said.hidden_prints if said else 0,
            ended=said.ended if said else None,
        )
    return Conversion(header, footer, footer.counts, readable.damage)
