"""KUSER_SHARED_DATA: the page at 0xFFFFF780`00000000 where drivers read the time without a call.

The version fields are those of build 18362; the KD stub adds what only debuggers read.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.interfaces import KernelClock
from harness.virtual.windows.symbols18362 import BUILD_NUMBER, KUSER_SHARED_DATA

__all__ = ["SHARED_PAGE", "TICK", "SharedPage"]

SHARED_PAGE: Final = 0xFFFFF780_00000000
TICK: Final = 156_250
"""One clock tick, in 100 ns units: 15.625 ms."""
_TICK_MULTIPLIER: Final = 0x0FA0_0000
"""Milliseconds a tick, times 2**24."""
_AMD64: Final = 9
_WORKSTATION: Final = 1
_TIME: Final = struct.Struct("<III")
_INTERRUPT_TIME: Final = KUSER_SHARED_DATA.offset("InterruptTime")
_SYSTEM_TIME: Final = KUSER_SHARED_DATA.offset("SystemTime")
_TICK_COUNT: Final = KUSER_SHARED_DATA.offset("TickCount")


class SharedPage:
    """Keeps the page's clocks in step with the target's."""

    def __init__(self, memory: Memory, clock: KernelClock, *, processors: int) -> None:
        self._clock = clock
        self._shown = -1
        root = "C:\\Windows".encode("utf-16-le")
        memory.map(
            SHARED_PAGE,
            PAGE,
            "r",
            content=KUSER_SHARED_DATA.pack(
                {
                    "TickCountMultiplier": _TICK_MULTIPLIER,
                    "NtSystemRoot": root,
                    "NtBuildNumber": BUILD_NUMBER,
                    "NtProductType": _WORKSTATION,
                    "ProductTypeIsValid": 1,
                    "NativeProcessorArchitecture": _AMD64,
                    "NtMajorVersion": 10,
                    "NtMinorVersion": 0,
                    "KdDebuggerEnabled": 3,
                    "ActiveProcessorCount": processors,
                    "QpcFrequency": 10_000_000,
                }
            ),
        )
        self._view = memory.view(SHARED_PAGE, PAGE)
        self.refresh()

    def refresh(self) -> None:
        """Show the clock's time. Called before the driver is entered."""
        now = self._clock.now
        if now == self._shown:
            return
        self._shown = now
        self._write(_INTERRUPT_TIME, now)
        self._write(_SYSTEM_TIME, self._clock.system_time)
        self._write(_TICK_COUNT, now // TICK)

    def _write(self, offset: int, value: int) -> None:
        """KSYSTEM_TIME: low part, high part, high part again."""
        high = value >> 32 & 0xFFFF_FFFF
        _TIME.pack_into(self._view, offset, value & 0xFFFF_FFFF, high, high)
