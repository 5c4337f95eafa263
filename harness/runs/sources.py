"""How a run ended, told with functions and lines of the drivers that were loaded, and with all they lack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from harness.errors import DriverBugcheck, DriverHang, MissingImport
from harness.runs.steps import GuestDriver
from harness.symbols import DriverSymbols, with_source

__all__ = ["symbols_of", "with_all_names", "with_sources"]

_E = TypeVar("_E", bound=DriverBugcheck | DriverHang | MissingImport)


def with_all_names(missing: MissingImport, drivers: Iterable[GuestDriver]) -> MissingImport:
    """The same error; what the drivers lack besides is told, too, so that nobody meets it one by one."""
    names = {name for driver in drivers for name in driver.missing_imports}
    others = sorted(names - {missing.name})
    hint = missing.hint + (f"; missing as well: {', '.join(others)}" if others else "")
    return MissingImport(missing.message, name=missing.name, hint=hint)


def with_sources(error: _E, drivers: Iterable[GuestDriver]) -> _E:
    """The same error; where a driver has symbols, function and line stand behind each of its addresses."""
    error.message = with_source(error.message, symbols_of(drivers))
    error.args = (error.message,)
    return error


def symbols_of(drivers: Iterable[GuestDriver]) -> dict[str, DriverSymbols]:
    """What is known of the drivers' sources, by file name in lower case."""
    return {driver.file.lower(): driver.symbols for driver in drivers if driver.symbols is not None}
