"""Drivers that the target gets of its debugger (``--kdfiles``), and what lies in the guest in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.debuggers.base import FileServingDebugger, ReplacementMap
from harness.errors import GuestError
from harness.guests.base import ActionResult, Guest, SettlingGuest
from harness.runs.steps import GuestDriver
from harness.toolchain.windows_errors import ntstatus_words

__all__ = ["STAND_IN", "guest_of_served_drivers", "map_drivers"]

STAND_IN: Final = b"The driver that belongs here is handed out by the kernel debugger (.kdfiles).\r\n"
"""The guest's own copy of such a driver. It is no image, so that whoever loads it without having asked the
debugger loads nothing."""


def map_drivers(debugger: FileServingDebugger, drivers: Sequence[GuestDriver]) -> None:
    """Have the halted target get the drivers of its debugger, each by its file name."""
    for driver in drivers:
        debugger.files.add(driver.file, driver.image)


def guest_of_served_drivers(guest: Guest, files: ReplacementMap, drivers: Sequence[GuestDriver]) -> Guest:
    """The guest, in which only a stand-in is put of each of these drivers; one that is loaded without having
    been asked for is a failure of the rig."""
    names = {driver.service: driver.file for driver in drivers}
    if isinstance(guest, SettlingGuest):
        return _SettlingServedGuest(guest, guest, files, names)
    return _ServedGuest(guest, files, names)


class _ServedGuest:
    """See :class:`harness.guests.base.Guest`.

    :param names: service → file name of the drivers that the debugger has.
    """

    def __init__(self, guest: Guest, files: ReplacementMap, names: dict[str, str]) -> None:
        self._guest = guest
        self._files = files
        self._names = names

    def put(self, name: str, data: bytes) -> str:
        return self._guest.put(name, STAND_IN if name in self._names.values() else data)

    def load_driver(self, name: str, path: str) -> int:
        status = self._guest.load_driver(name, path)
        if name in self._names and not self._files.was_opened(self._names[name]):
            raise GuestError(
                f"the target loaded {path} ({ntstatus_words(status)}) and did not ask its debugger for it",
                hint="is it debugged by this debugger? without --kdfiles the driver is copied there",
            )
        return status

    def unload_driver(self, name: str) -> int:
        return self._guest.unload_driver(name)

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        return self._guest.act(argv, step=step, timeout=timeout)


class _SettlingServedGuest(_ServedGuest):
    """The same of a guest that can tell when it has settled."""

    def __init__(
        self, guest: Guest, settling: SettlingGuest, files: ReplacementMap, names: dict[str, str]
    ) -> None:
        super().__init__(guest, files, names)
        self._settling = settling

    def settle(self, *, quiet: float, maximum: float) -> None:
        self._settling.settle(quiet=quiet, maximum=maximum)
