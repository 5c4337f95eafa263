"""STATE_CHANGE64 packets (type 7): the target stopped and waits for Continue.

The fixed part has 240 bytes for every kind: a header of 32, a union of 160, a control report of 48; text
follows at 240. The control report's layout depends on the target's processor (:mod:`harness.kd.contexts`
reads it).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from harness.kd.errors import ProtocolError
from harness.kd.layout import Record, raw, u8, u16, u32, u64

__all__ = [
    "ALTERNATE_STATE",
    "CommandString",
    "Exception64",
    "LoadSymbols",
    "StateChange",
    "StateChange64",
    "decode_state_change",
]

ALTERNATE_STATE: Final = 0x10000
"""Bit of ``new_state``: reported by an alternate source."""

_PARAMETERS = struct.Struct("<15Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange64(Record):
    """What every state change has (DBGKD_ANY_WAIT_STATE_CHANGE)."""

    SIZE: ClassVar[int] = 240
    STATE: ClassVar[int] = 0

    new_state: int = u32(0)
    processor_level: int = u16(4)
    processor: int = u16(6)
    number_processors: int = u32(8, 1)
    thread: int = u64(16)
    """Address of the ETHREAD; sign-extended on a 32-bit target."""
    program_counter: int = u64(24)
    control_report: bytes = raw(192, 48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exception64(StateChange64):
    """The processor raised an exception (DbgKdExceptionStateChange)."""

    STATE: ClassVar[int] = 0x3030

    new_state: int = u32(0, STATE)
    exception_code: int = u32(32)
    exception_flags: int = u32(36)
    exception_record: int = u64(40)
    exception_address: int = u64(48)
    number_parameters: int = u32(56)
    information: bytes = raw(64, 120)
    """15 unsigned 64-bit values of which ``number_parameters`` mean something."""
    first_chance: int = u32(184)

    @staticmethod
    def pack_parameters(*parameters: int) -> bytes:
        """``parameters`` (at most 15) as :attr:`information` holds them."""
        return _PARAMETERS.pack(*parameters, *[0] * (15 - len(parameters)))

    @property
    def parameters(self) -> tuple[int, ...]:
        """The exception's parameters, at most 15."""
        return _PARAMETERS.unpack(self.information)[: self.number_parameters]

    def check(self) -> None:
        if self.number_parameters > 15:
            raise ProtocolError(
                f"exception with {self.number_parameters} parameters, at most 15 are possible"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSymbols(StateChange64):
    """An image was loaded or unloaded (DbgKdLoadSymbolsStateChange); :attr:`data` is its path and a NUL."""

    STATE: ClassVar[int] = 0x3031
    REBOOT_BASE: ClassVar[int] = 0xFFFFFFFFFFFFFFFF

    new_state: int = u32(0, STATE)
    path_length: int = u32(32)
    """Bytes of the path with its NUL; 0 = no path."""
    base: int = u64(40)
    process_id: int = u64(48)
    """2^64-1 for a kernel image."""
    checksum: int = u32(56)
    size_of_image: int = u32(60)
    unload: int = u8(64)

    @property
    def path(self) -> str:
        """The path as the target wrote it, undecodable bytes escaped; empty when it has none."""
        return self.data[: self.path_length].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    @property
    def image(self) -> str:
        """The last name of the path."""
        return self.path.replace("/", "\\").rpartition("\\")[2]

    @property
    def is_reboot(self) -> bool:
        """The target reboots or hands over to the next kernel: no path, base -1, process 0."""
        return bool(self.unload) and self.base == self.REBOOT_BASE and self.process_id == 0

    def check(self) -> None:
        if self.path_length > len(self.data):
            raise ProtocolError(
                f"load-symbols path of {self.path_length} bytes where {len(self.data)} are left"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandString(StateChange64):
    """The target asks the host to execute a command (DbgKdCommandStringStateChange): name, NUL, command, NUL.

    Microsoft's debugger executes it; nothing in this project does.
    """

    STATE: ClassVar[int] = 0x3032

    new_state: int = u32(0, STATE)
    flags: int = u32(32)
    reserved: bytes = raw(36, 60)

    @property
    def name(self) -> bytes:
        """First string."""
        return self.data.split(b"\0")[0]

    @property
    def command(self) -> bytes:
        """Second string; empty when missing."""
        return [*self.data.split(b"\0"), b""][1]


StateChange: TypeAlias = Exception64 | LoadSymbols | CommandString

_BY_STATE: Final[dict[int, type[StateChange]]] = {
    Exception64.STATE: Exception64,
    LoadSymbols.STATE: LoadSymbols,
    CommandString.STATE: CommandString,
}


def decode_state_change(payload: bytes) -> StateChange:
    """Parse the payload of a type 7 packet; raises :class:`ProtocolError`."""
    state = int.from_bytes(payload[:4], "little")
    record = _BY_STATE.get(state & ~ALTERNATE_STATE)
    if record is None:
        raise ProtocolError(f"state change 0x{state:x} in {len(payload)} bytes is unknown")
    return record.decode(payload)
