"""Sysmon's records in an event log file (EVTX)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.errors import TraceError
from harness.trace.sources.extra import missing_extra
from harness.trace.sources.imported import Damaged
from harness.trace.sources.sysmon.events import LogRecord, SysmonTrace, record_of

__all__ = ["SysmonEvtx"]

_HEADER: Final = 4096
_CHUNK: Final = 1 << 16
_CHUNKS: Final = struct.Struct("<42xH")
"""Of the file's header how many chunks there are."""
_THREADS: Final = 1
"""More would read further ahead than the events are taken."""


class SysmonEvtx(SysmonTrace):
    """An EVTX file, by the library ``evtx``."""

    tool = "Sysmon, EVTX"
    ends = False

    def _records(self) -> Iterator[LogRecord]:
        try:
            from evtx import PyEvtxParser
        except ImportError:
            raise missing_extra(self.path, "an event log (EVTX)", "evtx") from None
        decoder = msgspec.json.Decoder(dict[str, Any])
        try:
            records = PyEvtxParser(str(self.path), _THREADS).records_json()
        except (RuntimeError, OSError, ValueError) as error:
            raise TraceError(f"{self.path}: not an event log that can be read: {error}") from None
        while True:
            try:
                found = next(records, None)
                if found is None:
                    break
                where = f"{self.path}: record {found['event_record_id']}"
                record = record_of(where, decoder.decode(found["data"]))
            except (RuntimeError, OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
                raise Damaged(f"{self.path}: damaged: {error}") from None
            if record is None:
                raise Damaged(f"{where}: it has no provider or no number")
            yield record
        self._check_length()

    def _check_length(self) -> None:
        """The library ends without a word where the file does."""
        with self.path.open("rb") as file:
            (chunks,) = _CHUNKS.unpack(file.read(_CHUNKS.size))
            held = (file.seek(0, os.SEEK_END) - _HEADER) // _CHUNK
        if held < chunks:
            raise Damaged(f"{self.path}: cut off: {max(held, 0)} chunks where {chunks} belong")
