"""The synthetic ntoskrnl.exe, read by a PE reader that is not ours."""

from __future__ import annotations

import itertools

import pefile
import pytest
from booted import Booted, open_filter

from harness.virtual.cpu.kernel_image import EXPORTED_DATA, RESERVED_DATA
from harness.virtual.interfaces import MAX_PROCESSORS
from harness.virtual.kernel.exports import DATA, EXPORTS, SUBSYSTEMS, UNEXPORTED
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.kernel.printfilter import PrintFilter
from harness.virtual.kernel.windowsexports import windows_exports


def test_every_export_resolves_by_name(booted: Booted) -> None:
    module = booted.kernel.modules[0]
    pe = pefile.PE(data=booted.kernel.memory.read(module.base, module.size))
    found = {entry.name.decode(): module.base + entry.address for entry in pe.DIRECTORY_ENTRY_EXPORT.symbols}
    assert found.keys() == (EXPORTS.keys() - UNEXPORTED) | DATA.keys() | EXPORTED_DATA
    assert all(booted.kernel.symbol(name) == address for name, address in found.items())
    assert list(found) == sorted(found), "debuggers and loaders search the names by bisection"
    assert pe.OPTIONAL_HEADER.SizeOfImage == module.size


def test_reserved_data_is_apart_and_readable_ahead(booted: Booted) -> None:
    for name, size in RESERVED_DATA.items():
        address = booted.kernel.symbol(name)
        assert len(booted.kernel.memory.read(address, size + 0x80)) == size + 0x80, name
    places = sorted((booted.kernel.symbol(n), s) for n, s in RESERVED_DATA.items())
    assert all(a + s <= b for (a, s), (b, _) in itertools.pairwise(places))


def test_break_points_are_real_code(booted: Booted) -> None:
    for name in ("DbgBreakPoint", "DbgBreakPointWithStatus"):
        assert booted.kernel.memory.read(booted.kernel.symbol(name), 2) == b"\xcc\xc3"


def test_most_exports_are_windows_own_names() -> None:
    known = windows_exports()
    assert "PsSetLoadImageNotifyRoutine" in known
    assert "CcFastMdlReadWait" in known, "DATA entries count by their name"
    assert len(EXPORTS.keys() & known) > 200


def test_every_module_of_exports_declares_some() -> None:
    for module in SUBSYSTEMS:
        assert any(export.handler.__module__ == module.__name__ for export in EXPORTS.values()), module


@pytest.mark.parametrize("processors", [0, MAX_PROCESSORS + 1])
def test_processor_counts_that_do_not_exist(booted: Booted, processors: int) -> None:
    with pytest.raises(ValueError, match="1 to 8 processors"):
        Kernel(booted.debugger, booted.clock, processors=processors)


@pytest.mark.parametrize(
    ("component", "level", "opened", "windows"),
    [
        (77, 0, True, True),  # IHVDRIVER, error: what the driver uses
        (77, 3, False, False),
        (101, 3, True, False),  # DbgPrint itself
        (101, 0, True, True),
        (101, 4, False, False),
        (77, 0x8000_0001, True, True),  # a mask
        (0xFFFF_FFFF, 0, True, True),
        (0xFFFF_FFFF, 3, False, False),
        (400, 0, False, False),
    ],
)
def test_print_filter(component: int, level: int, opened: bool, windows: bool) -> None:
    assert open_filter().passes(component, level) is opened
    assert PrintFilter().passes(component, level) is windows
