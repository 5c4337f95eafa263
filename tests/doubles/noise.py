"""What a serial line does to the bytes on it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Noise:
    """What happens to a byte, each with this probability."""

    lost: float = 0.0
    changed: float = 0.0
    """One of its bits."""
    doubled: float = 0.0

    def damage(self, data: bytes, chance: Random) -> tuple[bytes, int]:
        """What arrives, and how many bytes something happened to."""
        out, faults = bytearray(), 0
        for byte in data:
            dice = chance.random()
            faults += dice < self.lost + self.doubled + self.changed
            if dice < self.lost:
                continue
            if dice < self.lost + self.doubled:
                out.append(byte)
            elif dice < self.lost + self.doubled + self.changed:
                byte ^= 1 << chance.randrange(8)
            out.append(byte)
        return bytes(out), faults
