"""The exports of ntoskrnl.exe and hal.dll: one module an NT subsystem."""

from __future__ import annotations

from harness.virtual.exports import (
    crt,
    dbg,
    ex,
    exlists,
    io,
    ke,
    kesync,
    mm,
    ob,
    ps,
    rtl,
    rtlstrings,
    se,
)
from harness.virtual.exports.dispatch import Dispatcher
from harness.virtual.exports.registry import DATA, EXPORTS, Export

__all__ = ["DATA", "EXPORTS", "SUBSYSTEMS", "Dispatcher", "Export"]

SUBSYSTEMS = (crt, dbg, ex, exlists, io, ke, kesync, mm, ob, ps, rtl, rtlstrings, se)
"""The modules whose import declares the exports."""
