r"""A driver that was linked with /guard:cf: its indirect calls are checked by the kernel."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from booted import Booted
from guarded_drivers import LOAD_CONFIG, make_guarded_driver
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DriverBugcheck, MissingImport
from harness.virtual.kernel.loadconfig import guard_targets
from harness.virtual.kernel.pe import read_driver

SOURCE = (
    r"""
#include <ntifs.h>
typedef ULONG64 ROUTINE(ULONG64 a, ULONG64 b, ULONG64 c, ULONG64 d, ULONG64 e, double f);
__declspec(dllimport) NTSTATUS NTAPI ZwQueryLicenseValue(void *, void *, void *, ULONG, void *);
static ULONG64 Sum(ULONG64 a, ULONG64 b, ULONG64 c, ULONG64 d, ULONG64 e, double f)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + (ULONG64)f;
}
__declspec(noinline) ULONG64 Other(ULONG64 a) { return a * 7; }
ROUTINE *volatile Routine = Sum;
ULONG (*volatile Print)(PCSTR, ...) = DbgPrint;
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static UCHAR data[16] = {0xC3};
    UCHAR code[16];
    (void)path, (void)driver, (void)code, (void)data;
    Print("sum %u\n", (ULONG)Routine(1, 2, 3, 4, 5, 6.0));
    Print("other %u\n", (ULONG)Other(6));
    BODY
    return STATUS_SUCCESS;
}
"""
    + LOAD_CONFIG
)

BAD = {
    "the middle of a function": "Routine = (ROUTINE *)((PUCHAR)Sum + 1);",
    "a function whose address nobody takes": (
        'PUCHAR at = (PUCHAR)DriverEntry; __asm__ volatile("leaq Other(%%rip), %0" : "=r"(at));'
        " Routine = (ROUTINE *)at;"
    ),
    "data": "Routine = (ROUTINE *)data;",
    "the stack": "Routine = (ROUTINE *)code;",
    "a user-mode address": "Routine = (ROUTINE *)0x10000;",
    "NULL": "Routine = NULL;",
    "freed memory": (
        "PVOID p = ExAllocatePoolWithTag(NonPagedPool, 64, 'x'); Routine = (ROUTINE *)p; ExFreePool(p);"
    ),
}


def guarded(body: str, folder: Path) -> bytes:
    return make_guarded_driver(SOURCE.replace("BODY", body), folder)


def test_indirect_calls_of_functions_and_of_the_kernel_keep_their_arguments(
    booted: Booted, tmp_path: Path
) -> None:
    driver = guarded("", tmp_path)
    assert read_driver(driver).guarded
    assert booted.load(driver, "guarded.sys") == 0
    assert b"".join(booted.debugger.prints) == b"sum 61\nother 42\n"


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_call_that_leads_to_no_function_fails_fast(body: str, booted: Booted, tmp_path: Path) -> None:
    with pytest.raises(DriverBugcheck) as caught:
        booted.load(guarded(f"{body} Routine(0, 0, 0, 0, 0, 0.0);", tmp_path), "guarded.sys")
    assert (caught.value.code, caught.value.parameters[0]) == (0x139, 10)
    assert caught.value.module == "guarded.sys"


def test_a_missing_import_is_what_it_is(booted: Booted, tmp_path: Path) -> None:
    body = "Routine = (ROUTINE *)ZwQueryLicenseValue; Routine(0, 0, 0, 0, 0, 0.0);"
    with pytest.raises(MissingImport) as caught:
        booted.load(guarded(body, tmp_path), "guarded.sys")
    assert caught.value.name == "ZwQueryLicenseValue"


@given(
    flags=st.sampled_from([0x400, 0x500, 0x1000_0500, 0x4000_0500, 0xF000_0500, 0x100]),
    count=st.sampled_from([0, 1, 2, 3, 4, 1 << 20, (1 << 64) - 1]),
    table=st.sampled_from([0x1000, 0x10C0, 0x10F8, 0x10FF, 0x1100, 0, (1 << 64) - 8]),
    content=st.binary(min_size=0x100, max_size=0x100),
)
def test_any_table_of_functions_is_read_within_its_image(
    flags: int, count: int, table: int, content: bytes
) -> None:
    image = bytearray(content)
    struct.pack_into("<I", image, 0, 0x94)
    struct.pack_into("<QQI", image, 0x80, table, count, flags)
    targets = guard_targets(image, 0, 0x1000)
    assert targets is None  # an RVA of 0 is no load configuration
    moved = bytearray(8) + image
    found = guard_targets(moved, 8, 0x1000)
    if found is not None:
        assert flags & 0x400
        assert len(found) <= len(moved) // 4


def test_a_suppressed_function_is_no_target() -> None:
    image = bytearray(0x100)
    struct.pack_into("<I", image, 8, 0x94)
    struct.pack_into("<QQI", image, 0x88, 0x10A0, 2, 0x1000_0500)
    image[0xA0:0xAA] = struct.pack("<IBIB", 0x20, 0, 0x30, 1)
    assert guard_targets(image, 8, 0x1000) == {0x1020}
