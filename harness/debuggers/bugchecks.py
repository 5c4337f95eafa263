"""How a bugcheck is recognised, and which image it points at. No I/O.

There is no bugcheck packet. The kernel prints a banner and then breaks in DbgBreakPointWithStatus; a bugcheck
that prints none (MANUALLY_INITIATED_CRASH) is known by that function's argument alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from harness.debuggers.base import BugcheckSeen, Module, ModuleLoaded, PrintReceived

__all__ = ["Banner", "CrashEvidence", "driver_at_fault", "faulting_module", "parse_banner"]

_BANNER = re.compile(
    r"\*\*\* Fatal System Error: 0x([0-9a-f]{1,8})\s*"
    r"\(0x([0-9a-f]{1,16}),0x([0-9a-f]{1,16}),0x([0-9a-f]{1,16}),0x([0-9a-f]{1,16})\)",
    re.IGNORECASE | re.ASCII,
)
_AT_FAULT = re.compile(r"Driver at fault: ([^\s]{1,260}?)\.?\s*$", re.MULTILINE)

_ADDRESS_PARAMETER: Final[dict[int, tuple[int, ...]]] = {
    0x0A: (3,),
    0x1E: (1,),
    0x3B: (1,),
    0x50: (2, 0),
    0x7E: (1,),
    0x8E: (1,),
    0xBE: (0,),
    0xCE: (2, 0),
    0xD1: (3,),
    0xD5: (2, 0),
    0xFC: (0,),
}
"""Bugcheck code → which parameters hold an address in the image at fault, the best first (Microsoft, Bug
Check Code Reference)."""


class Banner(NamedTuple):
    """What the kernel prints before it breaks."""

    code: int
    parameters: tuple[int, int, int, int]


def parse_banner(text: str) -> Banner | None:
    """The banner in a print, None when there is none."""
    found = _BANNER.search(text)
    if found is None:
        return None
    code, one, two, three, four = (int(word, 16) for word in found.groups())
    return Banner(code, (one, two, three, four))


def driver_at_fault(text: str) -> str | None:
    """The image that the kernel itself names after the banner."""
    found = _AT_FAULT.search(text)
    return found.group(1) if found else None


def faulting_module(
    code: int, parameters: tuple[int, int, int, int], modules: Iterable[Module], kernel_base: int
) -> str | None:
    """The image whose address the parameters hold; None when they hold none.

    The kernel is blamed only when nothing else can be. Addresses of a 32-bit target are compared by their low
    32 bits, since the banner does not extend their sign and module bases are extended.
    """
    images = [(module.name, module.base, module.size) for module in modules]
    order = _ADDRESS_PARAMETER.get(code, ())
    kernel: str | None = None
    for index in (*order, *(rest for rest in range(4) if rest not in order)):
        address = parameters[index]
        for name, base, size in images:
            if address <= 0xFFFFFFFF and base >= 0xFFFFFFFF80000000:
                inside = 0 <= address - (base & 0xFFFFFFFF) < size
            else:
                inside = 0 <= address - base < size
            if inside and base == kernel_base:
                kernel = name
            elif inside:
                return name
    return kernel


class CrashEvidence:
    """What a boot of the target has said that bears on a bugcheck of it."""

    def __init__(self) -> None:
        self._modules: dict[int, Module] = {}
        self._at_fault: str | None = None
        self.banner: Banner | None = None
        """The kernel's own word on the bugcheck, None before there is one."""

    @property
    def modules(self) -> list[Module]:
        """Every image that was seen, unloaded ones included: a bugcheck may point into what is gone."""
        return list(self._modules.values())

    def see(self, event: object) -> None:
        """Something that the target said, whatever it is."""
        match event:
            case PrintReceived(text=text):
                self.see_print(text)
            case ModuleLoaded(module=module):
                self.see_modules([module])

    def see_print(self, text: str) -> None:
        """The target printed."""
        self.banner = parse_banner(text) or self.banner
        if self.banner is not None:
            self._at_fault = driver_at_fault(text) or self._at_fault

    def see_modules(self, modules: Iterable[Module]) -> None:
        """These images are, or were, loaded."""
        self._modules |= {module.base: module for module in modules}

    def forget(self) -> None:
        """The target rebooted."""
        self._modules.clear()
        self._at_fault = self.banner = None

    def bugcheck(self, code: int, parameters: tuple[int, int, int, int], *, kernel_base: int) -> BugcheckSeen:
        """The bugcheck with the image at fault, where one can be told."""
        module = self._at_fault or faulting_module(code, parameters, self.modules, kernel_base)
        return BugcheckSeen(code, parameters, module)
