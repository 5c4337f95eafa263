"""TRACE_IO (type 9, event tracing data) and CONTROL_REQUEST (type 10, hardware breakpoints) packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.kd.errors import ProtocolError
from harness.kd.layout import Record, u16, u32

__all__ = ["ControlRequest", "TraceIo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceIo(Record):
    """Event tracing buffers, target to host; only acknowledged."""

    SIZE: ClassVar[int] = 64
    API: ClassVar[int] = 0x3330

    api: int = u32(0, API)
    processor_level: int = u16(4)
    processor: int = u16(6)
    length: int = u32(8)
    """Bytes of trace data."""

    def check(self) -> None:
        if self.api != self.API:
            raise ProtocolError(f"TRACE_IO api 0x{self.api:x} is unknown")
        if self.length > len(self.data):
            raise ProtocolError(f"TRACE_IO announces {self.length} bytes and carries {len(self.data)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest(Record):
    """The target asks for (0x4300) or gives back (0x4301) a hardware breakpoint; the host answers in kind."""

    SIZE: ClassVar[int] = 12
    REQUEST_BREAKPOINT: ClassVar[int] = 0x4300
    RELEASE_BREAKPOINT: ClassVar[int] = 0x4301

    api: int = u32(0, REQUEST_BREAKPOINT)
    number: int = u32(4)
    result: int = u32(8)

    def check(self) -> None:
        if self.api not in (self.REQUEST_BREAKPOINT, self.RELEASE_BREAKPOINT):
            raise ProtocolError(f"CONTROL_REQUEST api 0x{self.api:x} is unknown")
