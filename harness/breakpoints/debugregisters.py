"""The debug registers of a target's processors, as KD carries them.

DR0 to DR3 hold addresses, DR7 says which are on (Intel SDM vol. 3, "Debug Registers"). Each processor has its
own: KD writes the addresses into each processor's KSPECIAL_REGISTERS, and DR7 of all of them with Continue2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from harness.kd.contexts import MACHINE_AMD64, MACHINE_I386

__all__ = ["ADDRESSES", "DR7_OFF", "RESUME_FLAG", "TRAP_FLAG", "SpecialRegisterPlace", "dr7", "place_of"]

ADDRESSES: Final = 4
"""DR0 to DR3."""
DR7_OFF: Final = 0x400
"""No breakpoint is on: the bit that is always set."""
RESUME_FLAG: Final = 0x1_0000
"""EFLAGS.RF: the next instruction is executed whatever breakpoint lies at it."""
TRAP_FLAG: Final = 0x100
"""EFLAGS.TF: the processor stops behind the next instruction."""


class SpecialRegisterPlace(NamedTuple):
    """The part of a processor's control space that ends with its debug registers."""

    address: int
    """What KD calls the control space's address: a selector on x64, an offset on x86."""
    size: int
    """Bytes from there on; DR0 to DR3, DR6 and DR7 are the last of them."""
    width: int
    """Bytes of a register."""

    def patched(self, data: bytes, addresses: Sequence[int], dr7: int) -> bytes:
        """These bytes with DR0 to DR3 and DR7 set."""
        dr6 = int.from_bytes(data[-2 * self.width : -self.width], "little")
        own = self._codec.pack(*map(self._cut, addresses), dr6, dr7)
        return data[: self.size - len(own)] + own

    def read(self, data: bytes) -> tuple[tuple[int, ...], int]:
        """What DR0 to DR3 hold in these bytes, and DR7."""
        *addresses, _, dr7 = self._codec.unpack(data[self.size - self._codec.size : self.size])
        return tuple(addresses), dr7

    @property
    def _codec(self) -> struct.Struct:
        return struct.Struct(f"<{ADDRESSES + 2}{'Q' if self.width == 8 else 'I'}")

    def _cut(self, address: int) -> int:
        return address & ((1 << 8 * self.width) - 1)


_PLACES: Final = {
    # KSPECIAL_REGISTERS: Cr0, Cr2, Cr3, Cr4, then KernelDr0 to KernelDr7; always from its beginning.
    MACHINE_AMD64: SpecialRegisterPlace(2, 0x50, 8),
    # KPROCESSOR_STATE: the CONTEXT (0x2CC bytes), then the same; no more than the debug registers is taken.
    MACHINE_I386: SpecialRegisterPlace(0x2CC + 0x10, 0x18, 4),
}


def place_of(machine: int) -> SpecialRegisterPlace | None:
    """Where processors of this PE machine type have them; None where that is not known."""
    return _PLACES.get(machine)


def dr7(used: Sequence[bool]) -> int:
    """DR7 with breakpoints before execution at the addresses whose flag is set (Ln; R/Wn and LENn 0).

    The local flags, not the global ones: Windows looks at those to see whether a processor has breakpoints.
    """
    return DR7_OFF | sum(1 << 2 * number for number, on in enumerate(used) if on)
