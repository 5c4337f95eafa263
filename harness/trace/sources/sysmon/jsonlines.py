"""Sysmon's records as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.trace.sources.imported import Damaged
from harness.trace.sources.sysmon.events import LogRecord, SysmonTrace, record_of
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["MAX_RECORD", "SysmonJson", "claims_json"]

MAX_RECORD: Final = 1 << 20
"""Bytes of one record."""

_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decoder = msgspec.json.Decoder(dict[str, Any])


def claims_json(head: bytes) -> bool:
    """Whether a file that begins so has records of an event log."""
    try:
        found = _decoder.decode(head.lstrip().partition(b"\n")[0])
        return record_of("", found) is not None
    except (*_ERRORS, Damaged):
        return False


class SysmonJson(SysmonTrace):
    """JSON Lines; the file may be compressed by gzip or xz."""

    tool = "Sysmon, JSON Lines"
    ends = False

    def _records(self) -> Iterator[LogRecord]:
        with open_unpacked(self.path) as file:
            number = 0
            while line := file.readline(MAX_RECORD):
                number += 1
                where = f"{self.path}:{number}"
                if not line.strip():
                    continue
                try:
                    found = _decoder.decode(line)
                except _ERRORS as error:
                    what = "cut off" if not line.endswith(b"\n") else f"damaged: {error}"
                    raise Damaged(f"{where}: {what}: {line[:60]!a}") from None
                record = record_of(where, found)
                if record is None:
                    raise Damaged(f"{where}: it is no record of an event log: {line[:60]!a}")
                yield record
