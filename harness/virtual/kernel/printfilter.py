"""Which debug prints reach the debugger: components, levels and masks.

Windows filters every print by component and level (*Reading and Filtering Debugging Messages*). What a user
sets of it is in :mod:`harness.printmasks`; a driver changes it with DbgSetDebugFilterState.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.printmasks import COMPONENTS, DEFAULT, WIN2000

__all__ = ["DEFAULT_COMPONENT", "ERROR_LEVEL", "IHVDRIVER_COMPONENT", "INFO_LEVEL", "PrintFilter"]

DEFAULT_COMPONENT: Final = COMPONENTS[DEFAULT]
"""DPFLTR_DEFAULT_ID, which DbgPrint uses."""
IHVDRIVER_COMPONENT: Final = COMPONENTS["IHVDRIVER"]
"""DPFLTR_IHVDRIVER_ID."""
ERROR_LEVEL: Final = 0
INFO_LEVEL: Final = 3
"""DPFLTR_INFO_LEVEL, which DbgPrint uses."""

_END_OF_TABLE: Final = 155
"""DPFLTR_ENDOFTABLE_ID of Windows 10."""
_WIN2000: Final = COMPONENTS[WIN2000]


class PrintFilter:
    """The masks of one boot; as Windows starts, errors alone pass. Bit n of a mask lets level n pass.

    :param masks: component's name → mask, for those that are not as Windows has them.
    """

    def __init__(self, masks: Mapping[str, int] | None = None) -> None:
        self._masks: dict[int, int] = {_WIN2000: 1}
        for name, mask in (masks or {}).items():
            self._masks[COMPONENTS[name]] = mask

    def passes(self, component: int, level: int) -> bool:
        """Levels below 32 name a bit, others are a mask themselves (DbgPrintEx, Level)."""
        if not _exists(component):
            return False
        return bool(_bits(level) & (self._masks[_WIN2000] | self._masks.get(component, 0)))

    def set(self, component: int, level: int, *, passes: bool) -> bool:
        """Let a level of a component pass or not; False where there is no such component."""
        if not _exists(component):
            return False
        mask = self._masks.get(component, 0)
        self._masks[component] = mask | _bits(level) if passes else mask & ~_bits(level)
        return True


def _exists(component: int) -> bool:
    return component < _END_OF_TABLE or component == _WIN2000


def _bits(level: int) -> int:
    return 1 << level if level < 32 else level
