"""Sysmon's records as events, in the order in which its service wrote them.

Fields: the event schema that ``sysmon -s`` prints (Microsoft, Sysinternals). The service reads and hashes a
file before it writes the record of its load, several files at a time: neither the order of these records nor
their UtcTime, which is that of a clock with ticks of about 16 ms, is the order in which images were loaded.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from harness.events import ImageLoad, ProcessCreate, ProcessExit, ThreadCreate
from harness.trace.sources.imported import Damaged, ImportedTrace, Seen

__all__ = ["MAX_VALUE", "LogRecord", "SysmonTrace", "checked", "record_of"]

MAX_VALUE: Final = 64 << 10
"""Characters of one value; a command line, the longest, has at most 32,767 in Windows."""

_PROVIDER: Final = "Microsoft-Windows-Sysmon"
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", re.ASCII)
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_TICK: Final = 160_000
"""Of the clock of UtcTime, in 100 ns units."""
_LATE: Final = "places of image loads that were written late"


class LogRecord(NamedTuple):
    """One record of a Windows event log."""

    where: str
    """The place in the file."""
    provider: str
    event_id: int
    computer: str
    number: int | None
    """EventRecordID; None: the form does not keep it."""
    data: Mapping[str, str]


class SysmonTrace(ImportedTrace):
    """Sysmon's events 1 (process), 5 (its end), 7 (image) and 8 (a thread in another process).

    Of several computers in one log the first one's events are taken, for PIDs mean nothing without it.
    """

    order = "the records, as Sysmon's service wrote them; image loads are written late, in any order"
    unordered = ("image_load",)
    foreign_threads = True
    reports_not = '[{"thread_exit": "any"}]'

    @abstractmethod
    def _records(self) -> Iterator[LogRecord]:
        """Every record of the log, in its order."""

    def _seen(self) -> Iterator[Seen]:
        computer: str | None = None
        latest_number = latest = 0
        for record in self._records():
            if record.provider != _PROVIDER:
                self.leave_out(f"records of {record.provider[:60]}")
                continue
            computer = computer if computer is not None else record.computer
            if record.computer != computer:
                self.leave_out(f"records of the computer {record.computer[:60]}")
                continue
            if record.number is not None:
                if record.number < latest_number:
                    raise Damaged(
                        f"{record.where}: record {record.number} stands behind {latest_number}",
                        hint="export with the oldest first (wevtutil qe /rd:false, Get-WinEvent -Oldest)",
                    )
                latest_number = record.number
            seen = self._event(record)
            if seen is None:
                self.leave_out(f"event {record.event_id}")
                continue
            time = _time(record)
            if seen.kind is ImageLoad:
                if time + _TICK < latest:
                    self.leave_out(_LATE)
            else:
                seen.fields["time"] = time
                latest = max(latest, time)
            yield seen

    def _event(self, record: LogRecord) -> Seen | None:
        match record.event_id:
            case 1:
                pids = {
                    "pid": _number_of(record, "ProcessId"),
                    "parent_pid": _number_of(record, "ParentProcessId"),
                }
                return Seen(ProcessCreate, {**pids, "image": _text(record, "Image")})
            case 5:
                return Seen(
                    ProcessExit, {"pid": _number_of(record, "ProcessId"), "image": _text(record, "Image")}
                )
            case 7:
                return Seen(
                    ImageLoad, {"pid": _number_of(record, "ProcessId"), "image": _text(record, "ImageLoaded")}
                )
            case 8:
                return Seen(
                    ThreadCreate,
                    {
                        "pid": _number_of(record, "TargetProcessId"),
                        "tid": _number_of(record, "NewThreadId"),
                        "creating_pid": _number_of(record, "SourceProcessId"),
                    },
                )
            case _:
                return None


def _text(record: LogRecord, name: str) -> str:
    text = record.data.get(name)
    if text is None:
        raise Damaged(f"{record.where}: event {record.event_id} has no {name}")
    return text


def _number_of(record: LogRecord, name: str) -> int:
    text = _text(record, name)
    if _NUMBER.fullmatch(text) is None:
        raise Damaged(f"{record.where}: {name} is {text[:40]!r}, which is no number")
    return int(text)


def _time(record: LogRecord) -> int:
    """UtcTime in 100 ns units since 1601."""
    text = _text(record, "UtcTime")
    try:
        if _TIME.fullmatch(text) is None:
            raise ValueError
        since = datetime.fromisoformat(f"{text}+00:00") - _EPOCH
    except ValueError:
        raise Damaged(f"{record.where}: UtcTime is {text[:40]!r}, which is no time") from None
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


def checked(where: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The values of a record as text.

    :raises Damaged: one is longer than any of Windows.
    """
    found = {name: str(value) for name, value in data.items() if isinstance(value, str | int)}
    for name, value in found.items():
        if len(value) > MAX_VALUE:
            raise Damaged(f"{where}: {name[:40]} has more than {MAX_VALUE} characters")
    return found


def record_of(where: str, found: Mapping[str, Any]) -> LogRecord | None:
    """A record that stands in a file as JSON; None: it is none.

    Flat, as OTRF's data sets have it; with ``Event``, as the XML in JSON; or with ``winlog``, as Winlogbeat.

    :raises Damaged: a value is longer than any of Windows.
    """
    if isinstance(event := found.get("Event"), dict):
        system, data = event.get("System"), event.get("EventData")
        if not isinstance(system, dict):
            return None
        provider = system.get("Provider")
        attributes = provider.get("#attributes") if isinstance(provider, dict) else None
        name = attributes.get("Name") if isinstance(attributes, dict) else None
        number, computer = system.get("EventID"), system.get("Computer")
        place = system.get("EventRecordID")
    elif isinstance(event := found.get("winlog"), dict):
        name, number, computer = event.get("provider_name"), event.get("event_id"), event.get("computer_name")
        data, place = event.get("event_data"), event.get("record_id")
    else:
        name, number, computer = found.get("SourceName"), found.get("EventID"), found.get("Hostname")
        data, place = found, found.get("EventRecordID", found.get("RecordNumber"))
    if isinstance(number, dict):
        number = number.get("#text")
    if not isinstance(name, str) or _NUMBER.fullmatch(str(number)) is None:
        return None
    kept = _NUMBER.fullmatch(str(place)) is not None
    return LogRecord(
        where,
        name,
        int(str(number)),
        str(computer),
        int(str(place)) if kept else None,
        checked(where, data if isinstance(data, dict) else {}),
    )
