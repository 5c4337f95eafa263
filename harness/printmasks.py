"""Print masks: which of a target's debug prints reach the debugger, as its user sets them.

Windows asks a filter about every print: bit n of ``Kd_<COMPONENT>_Mask`` lets level n of that component pass,
``Kd_WIN2000_Mask`` lets it pass for all of them (*Reading and Filtering Debugging Messages*). The first is 0
for every component that drivers use, the second 1; so errors pass, and a plain DbgPrint, which is component
DEFAULT and level INFO, does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

__all__ = [
    "COMPONENTS",
    "DEFAULT",
    "MAX_MASK",
    "OPEN_HINT",
    "WIN2000",
    "PrintMasks",
    "check_mask",
    "component_of",
    "parse_print_mask",
    "print_masks_words",
]

PrintMasks: TypeAlias = Mapping[str, int]
"""Component → mask; a component that is not in it keeps Windows' own mask."""

DEFAULT: Final = "DEFAULT"
"""The component of a plain DbgPrint."""
WIN2000: Final = "WIN2000"
"""Stands for every component."""
COMPONENTS: Final[Mapping[str, int]] = {
    "SYSTEM": 0,
    "SMSS": 1,
    "SETUP": 2,
    "NTFS": 3,
    "PNPMGR": 35,
    "IHVDRIVER": 77,
    "IHVVIDEO": 78,
    "IHVAUDIO": 79,
    "IHVNETWORK": 80,
    "IHVSTREAMING": 81,
    "IHVBUS": 82,
    "LDR": 85,
    DEFAULT: 101,
    WIN2000: 0xFFFF_FFFF,
}
"""Name → DPFLTR number (dpfilter.h): those that drivers are told to use, and some of Windows' own. WIN2000
has the number that DbgPrintEx takes for no component."""
MAX_MASK: Final = 0xFFFF_FFFF
OPEN_HINT: Final = (
    "a plain DbgPrint is hidden until Kd_DEFAULT_Mask lets it pass:"
    " --print-mask 0xf, on a Windows machine 'ed nt!Kd_DEFAULT_Mask 0xf' in the debugger"
)
"""For whoever hears nothing."""

_WRITTEN: Final = re.compile(
    r"(?:(?P<component>\w{1,40})=)?(?P<mask>0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10})", re.ASCII
)


def component_of(name: str) -> str | None:
    """The component of that name, or of that mask's name (``Kd_IHVDRIVER_Mask``), in any letter case; None
    where there is none."""
    upper = name.upper()
    upper = upper.removeprefix("KD_").removesuffix("_MASK")
    return upper if upper in COMPONENTS else None


def check_mask(component: str, mask: int) -> None:
    """Raise ValueError, with the reason, for a mask that cannot be set."""
    if not 0 <= mask <= MAX_MASK:
        raise ValueError(f"a mask is 0 to 0x{MAX_MASK:x}, not {mask}")
    if component == WIN2000 and not mask & 1:
        raise ValueError("the mask WIN2000 needs bit 0: what the guest helper says is an error too")


def parse_print_mask(text: str) -> tuple[str, int]:
    """``0xf`` (of DEFAULT) or ``IHVDRIVER=0xff``: the component and its mask; ValueError, with the reason."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no print mask; write 0xf, or COMPONENT=0xf")
    component = component_of(found["component"] or DEFAULT)
    if component is None:
        raise ValueError(f"no component {found['component']!r}; known: {', '.join(COMPONENTS)}")
    mask = int(found["mask"], 0) if found["mask"][:2].lower() == "0x" else int(found["mask"])
    check_mask(component, mask)
    return component, mask


def print_masks_words(masks: PrintMasks) -> str:
    """``Kd_DEFAULT_Mask=0xf``, one after the other."""
    return " ".join(f"Kd_{component}_Mask=0x{mask:x}" for component, mask in masks.items())
