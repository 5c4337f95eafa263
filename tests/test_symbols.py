"""Function and line of an address, from a .pdb that is right, missing, damaged or another build's."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path

import pytest

from harness.symbols import DriverSymbols, with_source
from harness.toolchain import Arch, build_driver

SOURCE = """\
#include <ntddk.h>

static KEVENT Event;

static __attribute__((noinline)) VOID WaitsForEver(VOID)
{
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    KeClearEvent(&Event);
}

static inline __attribute__((always_inline)) VOID Inlined(VOID)
{
    KeSetEvent(&Event, IO_NO_INCREMENT, FALSE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    (void)Driver;
    (void)Path;
    WaitsForEver();
    Inlined();
    return STATUS_SUCCESS;
}
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "win32" and importlib.util.find_spec("symbolic") is None,
    reason="symbolic has no build for this system",
)
DAMAGED = 3 if sys.platform == "win32" else 40
"""On Windows each is read in a process of its own."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .sys, with its .pdb beside it."""
    folder = tmp_path_factory.mktemp("waits")
    (folder / "waits.c").write_text(SOURCE, encoding="utf-8")
    build_driver(folder, Arch.X64, folder / "waits.sys")
    return folder / "waits.sys"


def places(symbols: DriverSymbols) -> set[str]:
    """Everything that is known of the code's first page."""
    found = (symbols.place_of(rva) for rva in range(0x1000, 0x2000))
    return {str(place) for place in found if place is not None}


def test_every_line_of_the_code_is_found_with_its_function(driver: Path) -> None:
    found = places(DriverSymbols(driver.read_bytes(), driver.with_suffix(".pdb")))
    assert all(re.fullmatch(r"\w+, [\w.]+:[1-9]\d*", place) for place in found), found
    assert {"WaitsForEver, waits.c:8", "WaitsForEver, waits.c:9"} <= found
    assert {"Inlined, waits.c:14", "DriverEntry, waits.c:21"} <= found


def test_without_the_right_pdb_an_address_stays_what_it_is(driver: Path, tmp_path: Path) -> None:
    image, pdb = driver.read_bytes(), driver.with_suffix(".pdb").read_bytes()
    (tmp_path / "waits.c").write_text(SOURCE.replace("FALSE, NULL", "TRUE, NULL"), encoding="utf-8")
    build_driver(tmp_path, Arch.X64, tmp_path / "other.sys")
    (tmp_path / "cut.pdb").write_bytes(pdb[: len(pdb) // 2])
    (tmp_path / "junk.pdb").write_bytes(b"junk")
    for name in ("missing", "other", "cut", "junk"):
        symbols = DriverSymbols(image, tmp_path / f"{name}.pdb")
        assert with_source("at waits.sys+0x1050", {"waits.sys": symbols}) == "at waits.sys+0x1050", name
    assert places(DriverSymbols(b"MZ", driver.with_suffix(".pdb"))) == set()


def test_a_damaged_pdb_never_does_more_than_say_nothing(driver: Path, tmp_path: Path) -> None:
    image, pdb = driver.read_bytes(), driver.with_suffix(".pdb").read_bytes()
    for seed in range(DAMAGED):
        rng, damaged = random.Random(seed), bytearray(pdb)
        for _ in range(rng.randrange(1, 40)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "waits.pdb").write_bytes(damaged)
        text = with_source("waits.sys+0x1050", {"waits.sys": DriverSymbols(image, tmp_path / "waits.pdb")})
        assert text.startswith("waits.sys+0x1050")


def test_a_place_is_a_call_s_unless_an_instruction_or_a_routine_begins_there(driver: Path) -> None:
    symbols = DriverSymbols(driver.read_bytes(), driver.with_suffix(".pdb"))
    before = [str(symbols.place_of(rva)) for rva in range(0x1000, 0x2000)]
    first = next(at for at, place in enumerate(before) if place.startswith("WaitsForEver"))
    assert not before[first - 1].startswith("WaitsForEver")
    place, known = f"waits.sys+0x{0x1000 + first:x}", {"waits.sys": symbols}
    assert "WaitsForEver" not in with_source(f"at {place}", known)
    for text in (f"instruction at {place}", f"1 callback, the routine at {place}, from"):
        assert f"{place} ({before[first]})" in with_source(text, known)


def test_every_place_of_a_known_driver_is_told_and_no_other(driver: Path) -> None:
    symbols = DriverSymbols(driver.read_bytes(), driver.with_suffix(".pdb"))
    rva = next(
        rva for rva in range(0x1000, 0x2000) if str(symbols.place_of(rva)) == "WaitsForEver, waits.c:9"
    )
    behind = rva + 1
    text = f"Waits.SYS+0x{behind:x} and other.sys+0x{behind:x}, waits.sys+0xffffffff"
    assert with_source(text, {"waits.sys": symbols}) == (
        f"Waits.SYS+0x{behind:x} (WaitsForEver, waits.c:9) and other.sys+0x{behind:x}, waits.sys+0xffffffff"
    )
