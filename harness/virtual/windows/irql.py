"""Interrupt request levels of x64 Windows (wdm.h)."""

from __future__ import annotations

from typing import Final

__all__ = ["APC_LEVEL", "DISPATCH_LEVEL", "PASSIVE_LEVEL"]

PASSIVE_LEVEL: Final = 0
APC_LEVEL: Final = 1
DISPATCH_LEVEL: Final = 2
