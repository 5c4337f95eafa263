"""What a serial line does to frames, by one seed."""

from __future__ import annotations

import random
from collections import Counter

__all__ = ["FrameDamage"]

KINDS = ("lost", "cut off", "changed", "doubled", "garbage")
"""One after the other, so that few frames meet them all; the last has bytes of nobody's before it."""


class FrameDamage:
    """Of one direction.

    :param share: of the frames that something happens to, 0 to 1.
    """

    def __init__(self, seed: int | str, share: float) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._rest = b""
        self.happened: Counter[str] = Counter()

    def pass_on(self, data: bytes) -> bytes:
        """What arrives of ``data``. A frame that is not whole yet is held back until it is."""
        *ended, self._rest = (self._rest + data).split(b"\0")
        return b"".join(b"\0" if not frame else self._damage(frame + b"\0") for frame in ended)

    def _damage(self, frame: bytes) -> bytes:
        chance = self._random
        if chance.random() >= self._share:
            return frame
        kind = KINDS[self.happened.total() % len(KINDS)]
        self.happened[kind] += 1
        match kind:
            case "lost":
                return b""
            case "cut off":
                start = chance.randrange(len(frame))
                return frame[:start] + frame[chance.randint(start, len(frame)) :]
            case "changed":
                changed = bytearray(frame)
                for _ in range(chance.randint(1, 3)):
                    changed[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
                return bytes(changed)
            case "doubled":
                return frame + b"\0" + frame
            case _:
                return chance.randbytes(chance.randrange(1, 3000)) + b"\0" + frame
