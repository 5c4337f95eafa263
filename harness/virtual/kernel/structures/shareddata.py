"""KUSER_SHARED_DATA: the page at 0xFFFFF780`00000000 where drivers read the time without a call."""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.interfaces import KernelClock
from harness.virtual.windows.symbols18362 import BUILD_NUMBER, KUSER_SHARED_DATA

__all__ = ["KI_USER_SHARED_DATA", "PHYSICAL_PAGES", "TICK", "SharedData", "clock_fields"]

KI_USER_SHARED_DATA: Final = 0xFFFFF780_00000000
TICK: Final = 156_250
"""One clock interrupt (15.625 ms) in 100 ns units: KeTimeIncrement and KeMaximumIncrement of x64 Windows."""
PHYSICAL_PAGES: Final = 0x100000
"""4 GiB."""

_TICK_MULTIPLIER: Final = 0x0FA0_0000
"""15.625 in 8.24 fixed point: GetTickCount is ``TickCount * TickCountMultiplier >> 24``."""
_MACHINE_AMD64: Final = 0x8664
_PRODUCT_WORKSTATION: Final = 1
_SINGLE_USER_TERMINAL_SERVER: Final = 0x100
_DEBUGGER_PRESENT: Final = 3
"""KdDebuggerEnabled: bit 0 enabled, bit 1 present."""
_ARCHITECTURE_AMD64: Final = 9
_X87_AND_SSE: Final = 3
_SYSTEM_TIME_FORMAT: Final = struct.Struct("<III")
_FIELDS: Final = tuple(
    KUSER_SHARED_DATA.offset(field) for field in ("InterruptTime", "SystemTime", "TickCount")
)


def clock_fields(interrupt_time: int, system_time: int) -> tuple[tuple[int, bytes], ...]:
    """The page's clocks: the offset and the KSYSTEM_TIME (low part, high part, high part again) of each.

    :param interrupt_time: 100 ns units since boot.
    :param system_time: FILETIME.
    """
    values = (interrupt_time, system_time, interrupt_time // TICK)
    return tuple(
        (offset, _SYSTEM_TIME_FORMAT.pack(value & 0xFFFF_FFFF, *(value >> 32 & 0xFFFF_FFFF,) * 2))
        for offset, value in zip(_FIELDS, values, strict=True)
    )


class SharedData:
    """Writes the page, and keeps its clocks in step with the target's."""

    def __init__(self, memory: Memory, clock: KernelClock, *, processors: int) -> None:
        self._clock = clock
        self._shown = -1
        memory.map(
            KI_USER_SHARED_DATA,
            PAGE,
            "r",
            content=KUSER_SHARED_DATA.pack(
                {
                    "TickCountMultiplier": _TICK_MULTIPLIER,
                    "ImageNumberLow": _MACHINE_AMD64,
                    "ImageNumberHigh": _MACHINE_AMD64,
                    "NtSystemRoot": "C:\\Windows".encode("utf-16-le"),
                    "NtBuildNumber": BUILD_NUMBER,
                    "NtProductType": _PRODUCT_WORKSTATION,
                    "ProductTypeIsValid": 1,
                    "NativeProcessorArchitecture": _ARCHITECTURE_AMD64,
                    "NtMajorVersion": 10,
                    "NtMinorVersion": 0,
                    "SuiteMask": _SINGLE_USER_TERMINAL_SERVER,
                    "KdDebuggerEnabled": _DEBUGGER_PRESENT,
                    "NumberOfPhysicalPages": PHYSICAL_PAGES,
                    "QpcFrequency": 10_000_000,
                    "ActiveProcessorCount": processors,
                    "XState.EnabledFeatures": _X87_AND_SSE,
                }
            ),
        )
        self._view = memory.view(KI_USER_SHARED_DATA, PAGE)
        self.refresh()

    def refresh(self) -> None:
        """Show the clock's time. Called whenever the clock may have moved and somebody may look: before the
        driver is entered and before the target halts."""
        now = self._clock.now
        if now == self._shown:
            return
        self._shown = now
        for offset, value in zip(_FIELDS, (now, self._clock.system_time, now // TICK), strict=True):
            high = value >> 32
            _SYSTEM_TIME_FORMAT.pack_into(self._view, offset, value & 0xFFFF_FFFF, high, high)
