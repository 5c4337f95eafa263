"""Sysmon's records in an event log file (EVTX)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.errors import TraceError
from harness.trace.sources.extra import missing_extra
from harness.trace.sources.imported import Damaged
from harness.trace.sources.sysmon.events import LogRecord, SysmonTrace, record_of

__all__ = ["SysmonEvtx"]

_THREADS: Final = 1
"""More would read further ahead than the events are taken."""


class SysmonEvtx(SysmonTrace):
    """An EVTX file, by the library ``evtx``."""

    tool = "Sysmon, EVTX"
    ends = True

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
                    return
                where = f"{self.path}: record {found['event_record_id']}"
                record = record_of(where, decoder.decode(found["data"]))
            except (RuntimeError, OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
                raise Damaged(f"{self.path}: damaged: {error}") from None
            if record is None:
                raise Damaged(f"{where}: it has no provider or no number")
            yield record
