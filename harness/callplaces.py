"""Where a driver calls what may fail: the places of a fault matrix (``--fail-calls``)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CallPlace", "CalledPlaces"]


class CallPlace(NamedTuple):
    """A call in a driver's code, in one kind of routine of the driver."""

    driver: str
    """File name of the driver."""
    routine: str
    """The kernel's routine that is called."""
    stack: tuple[int, ...]
    """Where the call and those that led to it return to, the call's own first: offsets in the driver's image,
    in bytes. A routine of the driver that allocates for many is as many places."""
    during: str
    """What of the driver runs: ``DriverEntry``, ``DriverUnload``, a key of
    :data:`harness.callbacks.CALLBACK_KINDS`, ``a DPC`` ..."""

    @property
    def site(self) -> str:
        """``driver.sys+0x1234 <- driver.sys+0x1300``."""
        return " <- ".join(f"{self.driver}+0x{offset:x}" for offset in self.stack)


class CalledPlaces(NamedTuple):
    """Where the drivers of one boot called what may fail."""

    places: tuple[CallPlace, ...]
    """In the order of the first calls."""
    beyond: int
    """Calls at further places, which were not kept."""
    failed: int | None
    """What the call returned that was to fail; None: it was not made."""
