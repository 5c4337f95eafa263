"""Hangs and missing imports told with the functions and lines of the drivers that were loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from harness.errors import DriverHang, MissingImport
from harness.runs.steps import GuestDriver
from harness.symbols import with_source

__all__ = ["with_sources"]

_E = TypeVar("_E", bound=DriverHang | MissingImport)


def with_sources(error: _E, drivers: Iterable[GuestDriver]) -> _E:
    """The same error; where a driver has symbols, function and line stand behind each of its addresses."""
    symbols = {driver.file.lower(): driver.symbols for driver in drivers if driver.symbols is not None}
    error.message = with_source(error.message, symbols)
    error.args = (error.message,)
    return error
