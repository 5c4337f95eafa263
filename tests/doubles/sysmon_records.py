"""One small Sysmon log, in each form that an event log has."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["LOG", "flat", "nested", "winlogbeat", "xml"]

Record = tuple[str, int, int, dict[str, str]]
"""Provider, EventID, EventRecordID, data."""
SYSMON = "Microsoft-Windows-Sysmon"
_AT = "2026-03-01 12:00:"
LOG: list[Record] = [
    (
        SYSMON,
        1,
        10,
        {"UtcTime": _AT + "00.001", "ProcessId": "8", "ParentProcessId": "4", "Image": "C:\\a & b.exe"},
    ),
    ("Microsoft-Windows-Security-Auditing", 5156, 11, {"Application": "x"}),
    (SYSMON, 7, 12, {"UtcTime": _AT + "00.000", "ProcessId": "8", "ImageLoaded": "C:\\ä.dll"}),
    (SYSMON, 10, 13, {"UtcTime": _AT + "00.002"}),
    (
        SYSMON,
        8,
        14,
        {"UtcTime": _AT + "01.500", "SourceProcessId": "12", "TargetProcessId": "8", "NewThreadId": "40"},
    ),
    (SYSMON, 7, 15, {"UtcTime": _AT + "01.000", "ProcessId": "8", "ImageLoaded": "C:\\late.dll"}),
    (SYSMON, 5, 16, {"UtcTime": _AT + "02.000", "ProcessId": "8", "Image": "C:\\a & b.exe"}),
]


def flat(record: Record, computer: str = "PC") -> str:
    provider, number, place, data = record
    return json.dumps(
        {**data, "SourceName": provider, "EventID": number, "EventRecordID": place, "Hostname": computer}
    )


def nested(record: Record, computer: str = "PC") -> str:
    provider, number, place, data = record
    system: dict[str, Any] = {
        "Provider": {"#attributes": {"Name": provider}},
        "EventID": {"#text": number, "#attributes": {"Qualifiers": 0}},
        "EventRecordID": place,
        "Computer": computer,
    }
    return json.dumps({"Event": {"System": system, "EventData": data}})


def winlogbeat(record: Record, computer: str = "PC") -> str:
    provider, number, place, data = record
    facts = {"provider_name": provider, "event_id": number, "record_id": place, "computer_name": computer}
    return json.dumps({"winlog": {**facts, "event_data": data}})


def xml(record: Record, computer: str = "PC") -> str:
    provider, number, place, data = record
    told = "".join(f"<Data Name='{name}'>{escape(value)}</Data>" for name, value in data.items())
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name='{provider}'/><EventID>{number}</EventID><EventRecordID>{place}</EventRecordID>"
        f"<Computer>{computer}</Computer></System><EventData>{told}</EventData></Event>"
    )
