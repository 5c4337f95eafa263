"""Times in parts, and in seconds since a year.

Sources: Microsoft, *RtlTimeFieldsToTime*, *RtlTimeToSecondsSince1970* and their relatives (wdm.h, ntifs.h).
"""

from __future__ import annotations

import struct
from datetime import date
from typing import Final

from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []

_MILLISECOND: Final = 10_000
"""In units of a system time, 100 ns."""
_SECOND: Final = 1000 * _MILLISECOND
_FIRST_YEAR: Final = 1601
_YEARS: Final = 400
"""After which the calendar repeats itself."""
_DAYS: Final = 146_097
"""Of so many years."""
_BEGINNING: Final = date(_FIRST_YEAR, 1, 1)
_SINCE: Final = {year: (date(year, 1, 1) - _BEGINNING).days * 86_400 for year in (1970, 1980)}
"""Year → its beginning, in seconds."""


@export("RtlTimeFieldsToTime", 2)
def rtl_time_fields_to_time(system: System, fields: int, time: int) -> int:
    """FALSE of a time that there is not; the day of the week is not looked at."""
    year, month, day, hour, minute, second, milli = struct.unpack("<7h", system.memory.load(fields, 14))
    eras, year_of_era = divmod(year - _FIRST_YEAR, _YEARS)
    try:
        days = (date(_FIRST_YEAR + year_of_era, month, day) - _BEGINNING).days + eras * _DAYS
    except ValueError:
        return 0
    limits = ((hour, 24), (minute, 60), (second, 60), (milli, 1000))
    if eras < 0 or not all(0 <= value < limit for value, limit in limits):
        return 0
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    system.memory.put_u64(time, seconds * _SECOND + milli * _MILLISECOND)
    return 1


def _to_seconds(system: System, time: int, seconds: int, year: int) -> int:
    since = system.memory.u64(time) // _SECOND - _SINCE[year]
    if not 0 <= since <= 0xFFFF_FFFF:
        return 0
    system.memory.put_u32(seconds, since)
    return 1


@export("RtlTimeToSecondsSince1970", 2)
def rtl_time_to_seconds_since_1970(system: System, time: int, seconds: int) -> int:
    """FALSE of a time before that year, or beyond what 32 bits hold."""
    return _to_seconds(system, time, seconds, 1970)


@export("RtlTimeToSecondsSince1980", 2)
def rtl_time_to_seconds_since_1980(system: System, time: int, seconds: int) -> int:
    return _to_seconds(system, time, seconds, 1980)


@export("RtlSecondsSince1970ToTime", 2)
def rtl_seconds_since_1970_to_time(system: System, seconds: int, time: int) -> None:
    system.memory.put_u64(time, ((seconds & 0xFFFF_FFFF) + _SINCE[1970]) * _SECOND)


@export("RtlSecondsSince1980ToTime", 2)
def rtl_seconds_since_1980_to_time(system: System, seconds: int, time: int) -> None:
    system.memory.put_u64(time, ((seconds & 0xFFFF_FFFF) + _SINCE[1980]) * _SECOND)
