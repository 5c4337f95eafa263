"""The exports of ntoskrnl.exe and hal.dll: one module an NT subsystem."""

from __future__ import annotations

from harness.virtual.kernel.exports import (
    cm,
    crt,
    crtcharacters,
    crtformat,
    crtsecure,
    dbg,
    ex,
    exlists,
    exlocks,
    exresource,
    fsrtl,
    guard,
    io,
    iocancel,
    ke,
    keapc,
    keattach,
    kedpc,
    kepriority,
    kespin,
    kewait,
    mdl,
    mm,
    ob,
    obnames,
    opcallbacks,
    ps,
    psquery,
    psthreads,
    rtl,
    rtlansi,
    rtlstrings,
    se,
    seh,
    zwfile,
)
from harness.virtual.kernel.exports.registry import DATA, EXPORTS, Export
from harness.virtual.kernel.exports.services import ServiceTable

__all__ = ["DATA", "EXPORTS", "SUBSYSTEMS", "Export", "ServiceTable"]

SUBSYSTEMS = (
    *(
        cm,
        crt,
        crtcharacters,
        crtformat,
        crtsecure,
        dbg,
        ex,
        exlists,
        exlocks,
        exresource,
        fsrtl,
        guard,
        io,
        iocancel,
        ke,
        keapc,
        keattach,
        kedpc,
        kepriority,
        kespin,
        kewait,
        mdl,
    ),
    *(mm, ob, obnames, opcallbacks, ps, psquery, psthreads, rtl, rtlansi, rtlstrings, se, seh, zwfile),
)
"""The modules whose import declares the exports."""
