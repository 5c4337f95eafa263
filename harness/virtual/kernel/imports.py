"""What drivers import: which of it this target has, and the addresses for their import tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.virtual.kernel.exports import DATA, EXPORTS, KERNEL
from harness.virtual.kernel.missing import MissingImports
from harness.virtual.kernel.pe import DriverImage, Import
from harness.virtual.kernel.windowsexports import windows_exports

__all__ = ["bind_imports", "is_served", "missing_names", "way_out"]

_KERNELS: Final = ("ntoskrnl.exe", "ntkrnlmp.exe", "hal.dll")
_NO_SUCH_EXPORT: Final = (
    "check its spelling: no list of Windows' exports has it, and Windows would not load the driver"
)
_NOT_SERVED: Final = (
    "judge the driver on a real target (procnotify record, or --machine), or leave the call out of this run"
)


def is_served(wanted: Import) -> bool:
    """The target has the routine or the variable."""
    module = KERNEL if wanted.dll in _KERNELS else wanted.dll
    routine = EXPORTS.get(wanted.name)
    if routine is None:
        return module == KERNEL and wanted.name in DATA
    return routine.module == module


def _full_name(wanted: Import) -> str:
    if wanted.dll in _KERNELS and not wanted.name.startswith("#"):
        return wanted.name
    return f"{wanted.dll}!{wanted.name}"


def missing_names(image: DriverImage) -> tuple[str, ...]:
    """Every import that the target lacks, once and in alphabetical order; those of other modules than the
    kernel and the HAL as ``fltmgr.sys!FltCreateFile``, those by ordinal as ``ntoskrnl.exe!#7``."""
    return tuple(sorted({_full_name(wanted) for wanted in image.imports if not is_served(wanted)}))


def way_out(name: str) -> str:
    """What to do about a missing import, or what is missing of an export, that is used."""
    known, export = windows_exports(), name.partition("(")[0]
    return _NOT_SERVED if "!" in name or not known or export in known else _NO_SUCH_EXPORT


def bind_imports(
    image: DriverImage, symbols: Mapping[str, int], missing: MissingImports
) -> list[tuple[int, int]]:
    """For every import the RVA of its slot and the address that goes there."""
    return [
        (wanted.slot, symbols[wanted.name] if is_served(wanted) else missing.bind(_full_name(wanted)))
        for wanted in image.imports
    ]
