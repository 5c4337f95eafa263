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


class _Addresses(NamedTuple):
    best: tuple[int, ...]
    """Parameters that hold an address in the image at fault, the best first."""
    instruction: int | None
    """That of the instruction at fault."""


_ADDRESSES: Final[dict[int, _Addresses]] = {
    0x0A: _Addresses((3,), 3),
    0x1E: _Addresses((1,), 1),
    0x3B: _Addresses((1,), 1),
    0x50: _Addresses((2, 0), 2),
    0x7E: _Addresses((1,), 1),
    0x8E: _Addresses((1,), 1),
    0xBE: _Addresses((0,), None),
    0xCE: _Addresses((2, 0), 2),
    0xD1: _Addresses((3,), 3),
    0xD5: _Addresses((2, 0), 2),
    0xFC: _Addresses((0,), 0),
}
"""By bugcheck code (Microsoft, Bug Check Code Reference)."""
_NOWHERE: Final = _Addresses((), None)


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

    The kernel is blamed only when nothing else can be.
    """
    images = list(modules)
    best = _ADDRESSES.get(code, _NOWHERE).best
    kernel: str | None = None
    for index in (*best, *(rest for rest in range(4) if rest not in best)):
        for image in images:
            inside = _offset(parameters[index], image) is not None
            if inside and image.base == kernel_base:
                kernel = image.name
            elif inside:
                return image.name
    return kernel


def faulting_offset(
    code: int, parameters: tuple[int, int, int, int], module: str, modules: Iterable[Module]
) -> int | None:
    """Where the instruction at fault is in the image at fault; None where the parameters do not tell, or
    tell of another image's instruction."""
    place = _ADDRESSES.get(code, _NOWHERE).instruction
    if place is None:
        return None
    offsets = (_offset(parameters[place], image) for image in modules if image.name == module)
    return next((offset for offset in offsets if offset is not None), None)


def _offset(address: int, image: Module) -> int | None:
    """In the image; None where it is not inside.

    Addresses of a 32-bit target are compared by their low 32 bits, since the banner does not extend their
    sign and module bases are extended.
    """
    low = address <= 0xFFFFFFFF and image.base >= 0xFFFFFFFF80000000
    offset = address - (image.base & 0xFFFFFFFF if low else image.base)
    return offset if 0 <= offset < image.size else None


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
        offset = None if module is None else faulting_offset(code, parameters, module, self.modules)
        return BugcheckSeen(code, parameters, module, offset)
