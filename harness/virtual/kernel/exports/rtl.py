"""Run-time library of the kernel: memory, versions, numbers, lists.

Sources: Microsoft, *RtlCopyMemory*, *RtlCompareMemory*, *RtlGetVersion* and their relatives (wdm.h, ntddk.h).
"""

from __future__ import annotations

import struct

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.exports.irql import signed
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_SUCCESS
from harness.virtual.windows.symbols18362 import BUILD_NUMBER

__all__ = ["copy", "fill"]

_MAX_COPY = 1 << 28
"""A longer copy runs past every allocation; it is cut here and faults on its way."""
_FILL_CHUNK = 1 << 16
_VERSION_INFO = struct.Struct("<IIIII")
_VERSION_SIZE = 0x114


def copy(system: System, destination: int, source: int, size: int) -> int:
    """memmove: ``destination``."""
    if size:
        size = min(size, _MAX_COPY)
        system.memory.store(destination, system.memory.load(source, size))
    return destination


def fill(system: System, destination: int, size: int, value: int) -> int:
    """memset: ``destination``."""
    done, chunk = 0, bytes((value & 0xFF,)) * min(size, _FILL_CHUNK)
    while done < size:
        part = min(size - done, _FILL_CHUNK)
        system.memory.store(destination + done, chunk[:part])
        done += part
    return destination


@export("RtlCopyMemory", "RtlMoveMemory", "RtlCopyMemoryNonTemporal", 3)
def rtl_copy_memory(system: System, destination: int, source: int, size: int) -> int:
    return copy(system, destination, source, size)


@export("RtlFillMemory", 3)
def rtl_fill_memory(system: System, destination: int, size: int, value: int) -> int:
    return fill(system, destination, size, value)


@export("RtlZeroMemory", "RtlSecureZeroMemory", 2)
def rtl_zero_memory(system: System, destination: int, size: int) -> int:
    return fill(system, destination, size, 0)


@export("RtlCompareMemory", 3)
def rtl_compare_memory(system: System, first: int, second: int, size: int) -> int:
    """Number of leading bytes that are equal."""
    a, b = system.memory.load(first, size), system.memory.load(second, size)
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), size)


@export("RtlEqualMemory", 3)
def rtl_equal_memory(system: System, first: int, second: int, size: int) -> int:
    return int(system.memory.load(first, size) == system.memory.load(second, size))


@export("RtlGetVersion", 1)
def rtl_get_version(system: System, information: int) -> int:
    """RTL_OSVERSIONINFOW, or the longer RTL_OSVERSIONINFOEXW if its size says so."""
    size = system.memory.u32(information)
    system.memory.store(information, _VERSION_INFO.pack(size, 10, 0, BUILD_NUMBER, 2))
    rest = bytearray(min(max(size, _VERSION_SIZE), 0x11C) - _VERSION_INFO.size)
    if size >= 0x11C:
        rest[0x106] = 1  # wProductType: VER_NT_WORKSTATION
    system.memory.store(information + _VERSION_INFO.size, bytes(rest))
    return STATUS_SUCCESS


@export("RtlIsNtDdiVersionAvailable", 1)
def rtl_is_nt_ddi_version_available(_system: System, version: int) -> int:
    return int(version & 0xFFFF_FFFF <= 0x0A00_0007)  # NTDDI_WIN10_19H1


@export("RtlAssert", 4)
def rtl_assert(system: System, expression: int, file: int, line: int, message: int) -> None:
    """ASSERT of a checked build: the text goes to the debugger, then the driver stops (0xC4 under the
    verifier)."""
    memory = system.memory
    text = b"\n*** Assertion failed: %s%s\n***   Source File: %s, line %i\n\n" % (
        memory.c_string(message, 512) if message else b"",
        memory.c_string(expression, 512),
        memory.c_string(file, 512),
        signed(line, 32),
    )
    system.port.print_string(text[:512], system.context.cpu)
    raise BugcheckRaised(0x1E, 0x8000_0003, system.caller(), 0, 0)


@export("RtlRandomEx", "RtlRandom", "RtlUniform", 1)
def rtl_random(system: System, seed: int) -> int:
    """RtlUniform's generator for all three: (a * seed + c) mod (2^31 - 1)."""
    value = (system.memory.u32(seed) * 0x7FFF_FFED + 0x7FFF_FFC3) % 0x7FFF_FFFF
    system.memory.put_u32(seed, value)
    return value


@export("RtlTimeToTimeFields", 2)
def rtl_time_to_time_fields(system: System, time: int, fields: int) -> None:
    """TIME_FIELDS of a system time; days are counted from 1601-01-01, a Monday."""
    ticks = system.memory.u64(time)
    milliseconds = ticks // 10_000
    days, rest = divmod(milliseconds, 86_400_000)
    year, month, day = _date(days)
    hour, rest = divmod(rest, 3_600_000)
    minute, rest = divmod(rest, 60_000)
    second, milli = divmod(rest, 1000)
    system.memory.store(
        fields, struct.pack("<8H", year, month, day, hour, minute, second, milli, (days + 1) % 7)
    )


def _date(days: int) -> tuple[int, int, int]:
    """Gregorian year, month, day of a number of days since 1601-01-01 (civil-from-days)."""
    days += 306  # count from 1600-03-01, so that the leap day ends a year
    era, day_of_era = divmod(days, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + 1600 + 400 * era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


@export("ExSystemTimeToLocalTime", "ExLocalTimeToSystemTime", 2)
def ex_system_time_to_local_time(system: System, time: int, result: int) -> None:
    """The target's time zone is UTC."""
    system.memory.put_u64(result, system.memory.u64(time))
