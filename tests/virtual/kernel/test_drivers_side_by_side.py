"""Two drivers in one kernel: each hears of the other, in the order in which they registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

HEARS = r"""
#include <ntddk.h>
#define SAY(...) DbgPrint(NAME ": " __VA_ARGS__)
static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    SAY("image %wZ in %u system %u\n", Name, HandleToULong(ProcessId), Info->SystemModeImage);
}
static VOID NTAPI OnProcess(HANDLE Parent, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Parent);
    SAY("process %u %u\n", HandleToULong(ProcessId), Create);
}
static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsRemoveLoadImageNotifyRoutine(OnImage);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    SAY("gone\n");
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    SAY("entry\n");
    PsSetLoadImageNotifyRoutine(OnImage);
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
"""


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder: Path = tmp_path_factory.mktemp("several")
    return {
        name: make_driver(f'#define NAME "{name}"\n{HEARS}', folder, name) for name in ("one", "two", "three")
    }


def lines(booted: Booted) -> list[str]:
    found = b"".join(booted.debugger.prints).decode().splitlines()
    booted.debugger.prints.clear()
    return found


def test_a_drivers_own_image_is_told_to_those_before_it_and_not_to_itself(
    booted: Booted, drivers: dict[str, bytes]
) -> None:
    for name, image in drivers.items():
        assert booted.load(image, f"{name}.sys") == 0
    folder = r"\SystemRoot\system32\drivers"
    assert lines(booted) == [
        "one: entry",
        rf"one: image {folder}\two.sys in 0 system 1",
        "two: entry",
        rf"one: image {folder}\three.sys in 0 system 1",
        rf"two: image {folder}\three.sys in 0 system 1",
        "three: entry",
    ]


def test_callbacks_come_in_the_order_of_registration_whoever_was_unloaded(
    booted: Booted, drivers: dict[str, bytes]
) -> None:
    for name, image in drivers.items():
        booted.load(image, f"{name}.sys")
    lines(booted)
    booted.create(60)
    assert lines(booted) == [f"{name}: process 60 1" for name in ("one", "two", "three")]
    booted.kernel.unload_driver(name="one.sys", context=SYSTEM)
    booted.load(drivers["one"], "one.sys")
    assert lines(booted)[0] == "one: gone"
    booted.create(64)
    assert lines(booted) == [f"{name}: process 64 1" for name in ("two", "three", "one")]
