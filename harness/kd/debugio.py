"""DEBUG_IO packets (type 3): DbgPrint text and DbgPrompt questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from harness.kd.errors import ProtocolError
from harness.kd.layout import Record, u16, u32

__all__ = ["MAX_PRINT_BYTES", "DebugIo", "GetString", "PrintString", "decode_debug_io"]

MAX_PRINT_BYTES: Final = 512
"""DbgPrint formats into a buffer of this size; longer text is cut by the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintString(Record):
    """One DbgPrint call, target to host; only acknowledged. :attr:`data` is the text, 8-bit, no NUL."""

    SIZE: ClassVar[int] = 16
    API: ClassVar[int] = 0x3230

    api: int = u32(0, API)
    processor_level: int = u16(4)
    processor: int = u16(6)
    length: int = u32(8)
    """Bytes of text."""
    undefined: int = u32(12)

    @classmethod
    def of(cls, text: bytes, *, processor: int = 0, processor_level: int = 0) -> PrintString:
        """The record for ``text``."""
        return cls(processor=processor, processor_level=processor_level, length=len(text), data=text)

    @property
    def text(self) -> bytes:
        """The printed bytes."""
        return self.data[: self.length]

    def check(self) -> None:
        if self.length > len(self.data):
            raise ProtocolError(f"PrintString announces {self.length} bytes and carries {len(self.data)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetString(Record):
    """A DbgPrompt: the request carries the prompt, the host's answer (same type) the text typed."""

    SIZE: ClassVar[int] = 16
    API: ClassVar[int] = 0x3231

    api: int = u32(0, API)
    processor_level: int = u16(4)
    processor: int = u16(6)
    length_of_prompt: int = u32(8)
    """Bytes of the prompt; repeated in the answer, which does not carry the prompt."""
    length_of_string: int = u32(12)
    """Request: room for the answer in bytes. Answer: bytes of the answer, its NUL included."""

    @classmethod
    def of(cls, prompt: bytes, *, room: int = 512, processor: int = 0) -> GetString:
        """The target's question."""
        return cls(processor=processor, length_of_prompt=len(prompt), length_of_string=room, data=prompt)

    @property
    def prompt(self) -> bytes:
        """The question, in a request."""
        return self.data[: self.length_of_prompt]

    @property
    def answer(self) -> bytes:
        """The text, in an answer, without its NUL."""
        return self.data[: self.length_of_string].rstrip(b"\0")

    def answered(self, text: bytes) -> GetString:
        """The host's answer to this request: ``text`` and a NUL, cut to the room the target has."""
        answer = (text[: max(self.length_of_string - 1, 0)] + b"\0")[: self.length_of_string]
        return GetString(
            processor_level=self.processor_level,
            processor=self.processor,
            length_of_prompt=self.length_of_prompt,
            length_of_string=len(answer),
            data=answer,
        )


DebugIo: TypeAlias = PrintString | GetString

_BY_API: Final[dict[int, type[DebugIo]]] = {PrintString.API: PrintString, GetString.API: GetString}


def decode_debug_io(payload: bytes) -> DebugIo:
    """Parse the payload of a type 3 packet; raises :class:`ProtocolError`."""
    api = int.from_bytes(payload[:4], "little")
    record = _BY_API.get(api)
    if record is None or len(payload) < 4:
        raise ProtocolError(f"DEBUG_IO api 0x{api:x} in {len(payload)} bytes is unknown")
    return record.decode(payload)
