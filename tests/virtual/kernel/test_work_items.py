r"""I/O work items that a driver queues twice, or frees while they are queued."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck

DRIVER = r"""
#include <ntddk.h>
static PIO_WORKITEM Item;
static KEVENT Ran;
static VOID NTAPI Works(PDEVICE_OBJECT device, PVOID frees)
{
    (void)device;
    if (frees)
        IoFreeWorkItem(Item);
    KeSetEvent(&Ran, 0, FALSE);
}
static VOID Await(VOID)
{
    KeWaitForSingleObject(&Ran, Executive, KernelMode, FALSE, NULL);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    (void)path, (void)Await;
    KeInitializeEvent(&Ran, SynchronizationEvent, FALSE);
    IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    Item = IoAllocateWorkItem(device);
    IoQueueWorkItem(Item, Works, DelayedWorkQueue, NULL);
    %s
    IoDeleteDevice(device);
    return STATUS_SUCCESS;
}
"""
AGAIN = "Await(), IoQueueWorkItem(Item, Works, DelayedWorkQueue, Item), Await();"
TWICE = "IoQueueWorkItem(Item, Works, DelayedWorkQueue, NULL);"
FREED = "IoFreeWorkItem(Item);"


def test_an_item_that_ran_is_queued_again_and_frees_itself(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER % AGAIN, tmp_path), "made.sys") == 0
    assert not booted.debugger.bugchecks


@pytest.mark.parametrize(("body", "what"), [(TWICE, 1), (FREED, 0)])
def test_one_that_is_queued_is_neither_queued_nor_freed(
    body: str, what: int, booted: Booted, tmp_path: Path
) -> None:
    with pytest.raises(DriverBugcheck, match="0x000000e4"):
        booted.load(make_driver(DRIVER % body, tmp_path), "made.sys")
    ((code, parameters, module),) = booted.debugger.bugchecks
    assert (code, parameters[0], module) == (0xE4, what, "made.sys")
