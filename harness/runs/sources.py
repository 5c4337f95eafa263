"""Hangs and missing imports told with the functions and lines of the drivers that were loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from harness.errors import DriverHang, MissingImport
from harness.runs.steps import GuestDriver
from harness.symbols import DriverSymbols, with_source

__all__ = ["symbols_of", "with_sources"]

_E = TypeVar("_E", bound=DriverHang | MissingImport)


def with_sources(error: _E, drivers: Iterable[GuestDriver]) -> _E:
    """The same error; where a driver has symbols, function and line stand behind each of its addresses."""
    error.message = with_source(error.message, symbols_of(drivers))
    error.args = (error.message,)
    return error


def symbols_of(drivers: Iterable[GuestDriver]) -> dict[str, DriverSymbols]:
    """What is known of the drivers' sources, by file name in lower case."""
    return {driver.file.lower(): driver.symbols for driver in drivers if driver.symbols is not None}
