"""Which debug prints reach the debugger: components, levels and masks.

Windows filters every print by component and level (*Reading and Filtering Debugging Messages*). A plain
DbgPrint is component DEFAULT, level INFO, which Windows hides since Vista; component IHVDRIVER at level
ERROR always passes. The target shows DEFAULT at every level unless told otherwise, as if
``Kd_DEFAULT_Mask`` had been set to 0xF.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["DEFAULT_COMPONENT", "INFO_LEVEL", "PrintFilter"]

DEFAULT_COMPONENT: Final = 101
"""DPFLTR_DEFAULT_ID."""
INFO_LEVEL: Final = 3
"""DPFLTR_INFO_LEVEL, which DbgPrint uses."""

_COMPONENTS: Final = 155
"""DPFLTR_ENDOFTABLE_ID of Windows 10."""
_NO_COMPONENT: Final = 0xFFFF_FFFF


@dataclass(frozen=True)
class PrintFilter:
    """The masks. Bit n of a mask lets level n pass."""

    win2000: int = 0x1
    """Kd_WIN2000_Mask, which counts for every component: errors."""
    components: Mapping[int, int] = field(default_factory=lambda: {DEFAULT_COMPONENT: 0xF})

    @classmethod
    def windows(cls) -> PrintFilter:
        """As Windows starts: errors alone pass."""
        return cls(components={})

    def passes(self, component: int, level: int) -> bool:
        """Levels below 32 name a bit, others are a mask themselves (DbgPrintEx, Level)."""
        bits = 1 << level if level < 32 else level
        if component == _NO_COMPONENT:
            return bool(bits & 1)
        if component >= _COMPONENTS:
            return False
        return bool(bits & (self.win2000 | self.components.get(component, 0)))
