"""A hang told with the functions and lines of the drivers that were loaded."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import DriverHang
from harness.runs.steps import GuestDriver
from harness.symbols import with_source

__all__ = ["with_sources"]


def with_sources(hang: DriverHang, drivers: Iterable[GuestDriver]) -> DriverHang:
    """The same hang; where a driver has symbols, function and line stand behind each of its addresses."""
    symbols = {driver.file.lower(): driver.symbols for driver in drivers if driver.symbols is not None}
    return DriverHang(with_source(hang.message, symbols), address=hang.address, hint=hang.hint)
