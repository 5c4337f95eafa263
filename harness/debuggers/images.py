"""Which loaded image holds an address of the target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from harness.debuggers.base import Disconnected, Module, ModuleLoaded, ModuleUnloaded, TargetRebooted
from harness.errors import ProcnotifyError

__all__ = ["MAX_READINGS", "ImagePlace", "LoadedImages", "ModuleSource"]

MAX_READINGS: Final = 32
"""How often the target's list is read in one boot; over a slow line that stops the target for seconds."""


class ImagePlace(NamedTuple):
    """An address, as an image and how far behind its base."""

    image: str
    offset: int
    address: int

    def __str__(self) -> str:
        return f"{self.image}+0x{self.offset:x}"


class ModuleSource(Protocol):
    """Who knows what is loaded."""

    def modules(self) -> list[Module]:
        """See :meth:`harness.debuggers.base.Debugger.modules`."""


class LoadedImages:
    """The images of one target, read when somebody asks and again when they have changed since.

    :param debugger: attached; asked only while the target is halted.
    """

    def __init__(self, debugger: ModuleSource) -> None:
        self._debugger = debugger
        self._modules: list[Module] = []
        self._stale = True
        self._readings = 0

    def see(self, event: ModuleLoaded | ModuleUnloaded | TargetRebooted | Disconnected) -> None:
        """What is known is no longer true."""
        self._stale = True
        if isinstance(event, TargetRebooted):
            self._modules, self._readings = [], 0

    def place(self, address: int) -> ImagePlace | None:
        """Where that is; None when no image holds it, or the target does not say."""
        found = self._find(address)
        if found is None:
            self._read()
            found = self._find(address)
        return found

    def places(self, addresses: Iterable[int]) -> list[ImagePlace]:
        """Where those of the addresses are that lie in an image. The target's list is read at most once."""
        self._read()
        return [place for address in addresses if (place := self._find(address)) is not None]

    def _read(self) -> None:
        if not self._stale or self._readings >= MAX_READINGS:
            return
        self._readings += 1
        try:
            self._modules, self._stale = self._debugger.modules(), False
        except ProcnotifyError:
            return  # a halted target that does not answer is noticed elsewhere

    def _find(self, address: int) -> ImagePlace | None:
        for module in self._modules:
            if module.base <= address < module.base + module.size:
                return ImagePlace(module.name, address - module.base, address)
        return None
