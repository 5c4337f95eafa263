"""A device that is deleted stays while something refers to it; to touch it after that is a driver's fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from booted import Booted
from device_machine import DeviceMachine
from made_drivers import make_driver

from harness.errors import DriverBugcheck, DriverFault
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext, UserBuffer
from harness.virtual.nt.devices import Devices
from harness.virtual.nt.objects import Thread
from harness.virtual.windows.status import STATUS_DEVICE_BUSY, STATUS_OBJECT_NAME_NOT_FOUND

SYSTEM = ThreadContext(pid=4, tid=8, cpu=0)
DEVICE = r"""#include <ntddk.h>

typedef struct { ULONG Opens, Magic; } EXTENSION;
#define SAY(Format, ...) DbgPrint(Format "\n", __VA_ARGS__)

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Deleted");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Deleted");
static PDEVICE_OBJECT Kept;
static PIO_WORKITEM Item;
static PFILE_OBJECT File;

static VOID Delete(PDEVICE_OBJECT Device)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

static VOID OnItem(PDEVICE_OBJECT Device, PVOID Context)
{
    LARGE_INTEGER Wait = {.QuadPart = -10 * 1000 * 100};
    UNREFERENCED_PARAMETER(Context);
    KeDelayExecutionThread(KernelMode, FALSE, &Wait);
    SAY("item: magic %x", ((EXTENSION *)Device->DeviceExtension)->Magic);
    IoFreeWorkItem(Item);
}

static VOID OnFile(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Context);
    SAY("item: %wZ", &File->FileName);
    ObDereferenceObject(File);
    IoFreeWorkItem(Item);
}

static NTSTATUS Serve(PDEVICE_OBJECT Device, PIRP Irp)
{
    EXTENSION *Extension = Device->DeviceExtension;
    UCHAR Major = IoGetCurrentIrpStackLocation(Irp)->MajorFunction;
    FILES;
    if (Major == IRP_MJ_CREATE)
        Extension->Opens++;
    if (Major == IRP_MJ_CLOSE)
        SAY("close: magic %x, %u open", Extension->Magic, --Extension->Opens);
    if (Major == IRP_MJ_DEVICE_CONTROL) {
        Delete(Device);
        IoDeleteDevice(Device); /* pending already: once more changes nothing */
        SAY("deleted: magic %x, linked %u", Extension->Magic, Device->DriverObject->DeviceObject == Device);
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    PDEVICE_OBJECT Device = Driver->DeviceObject;
    SAY("unload: devices %u", Device != NULL);
    if (Device == NULL)
        return;
    UNLOAD;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    EXTENSION *Extension;
    NTSTATUS Status = IoCreateDevice(Driver, sizeof *Extension, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Kept);
    UNREFERENCED_PARAMETER(Path);
    if (!NT_SUCCESS(Status))
        return Status;
    Extension = Kept->DeviceExtension;
    Extension->Magic = 0x1234;
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_CREATE] = Driver->MajorFunction[IRP_MJ_CLOSE] = Serve;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Serve;
    ENTRY;
    return IoCreateSymbolicLink(&Link, &Name);
}
"""
NOTHING, DELETE = "((VOID)0)", "Delete(Device)"


def made(folder: Path, *, unload: str = DELETE, entry: str = NOTHING, files: str = NOTHING) -> bytes:
    macros = {"UNLOAD": unload, "ENTRY": entry, "FILES": files}
    defined = "".join(f"#define {name} {text}\n" for name, text in macros.items())
    return make_driver(defined + DEVICE, folder)


def test_a_device_that_is_open_is_deleted_when_it_is_closed(tmp_path: Path) -> None:
    machine = DeviceMachine(made(tmp_path), "made", r"\\.\Deleted")
    opened: list[int] = []

    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, machine.device)).handle
        yield from devices.device_io_control(thread, handle, 0x222000, UserBuffer(), UserBuffer())
        opened.append((yield from devices.create_file(thread, machine.device)).status)
        yield from devices.close_handle(thread, handle)

    machine.do(program)
    assert opened == [STATUS_OBJECT_NAME_NOT_FOUND]
    assert machine.target.unload_driver("made") == 0
    assert machine.lines() == [
        "deleted: magic 1234, linked 1",
        "close: magic 1234, 0 open",
        "unload: devices 0",
    ]
    assert machine.kernel.broken_rules == ()


def test_a_work_item_keeps_the_device_that_it_is_handed(tmp_path: Path) -> None:
    queue = (
        "Item = IoAllocateWorkItem(Device); IoQueueWorkItem(Item, OnItem, DelayedWorkQueue, NULL);"
        " Delete(Device)"
    )
    machine = DeviceMachine(made(tmp_path, unload=queue), "made", r"\\.\Deleted")
    assert machine.target.unload_driver("made") == 0
    assert machine.lines() == ["unload: devices 1", "item: magic 1234"]
    assert machine.kernel.broken_rules == ()


def unloaded(image: bytes) -> Booted:
    """A kernel alone, in which the driver was loaded and unloaded."""
    booted = Booted()
    assert booted.load(image, "made.sys") == 0
    assert booted.kernel.unload_driver(name="made", context=SYSTEM) == 0
    return booted


def test_a_reference_keeps_a_device(tmp_path: Path) -> None:
    held = (
        "ObReferenceObject(Device); Delete(Device);"
        ' SAY("held: magic %x", ((EXTENSION *)Device->DeviceExtension)->Magic); ObDereferenceObject(Device)'
    )
    booted = unloaded(made(tmp_path, unload=held))
    assert booted.debugger.prints == [b"unload: devices 1\n", b"held: magic 1234\n"]
    assert booted.kernel.broken_rules == ()


def test_a_reference_by_pointer_is_of_the_type_that_is_named(tmp_path: Path) -> None:
    by_pointer = (
        'SAY("%08x %08x %08x", ObReferenceObjectByPointer(Device, 0, *IoFileObjectType, KernelMode),'
        " ObReferenceObjectByPointer(Device, 0, NULL, KernelMode),"
        " ObReferenceObjectByPointer(Driver, 0, NULL, KernelMode));"
        " Delete(Device); ObDereferenceObject(Device); ObDereferenceObject(Driver)"
    )
    booted = unloaded(made(tmp_path, unload=by_pointer))
    assert booted.debugger.prints == [b"unload: devices 1\n", b"c0000024 00000000 00000000\n"]
    assert booted.kernel.broken_rules == ()


@pytest.mark.parametrize("what", ["Device", "Driver"])
def test_a_reference_too_many_that_is_given_back(what: str, tmp_path: Path) -> None:
    unload = (
        f"ObReferenceObject({what}); ObDereferenceObject({what}); ObDereferenceObject({what}); Delete(Device)"
    )
    booted = Booted()
    with pytest.raises(DriverBugcheck) as ended:
        booted.load(made(tmp_path, unload=unload), "made.sys")
        booted.kernel.unload_driver(name="made", context=SYSTEM)
    assert (ended.value.code, ended.value.parameters[2:]) == (0x18, (2, 0xFFFF_FFFF_FFFF_FFFF))
    (broken,) = booted.kernel.broken_rules
    assert broken.message.startswith("made.sys calls ObfDereferenceObject, and Windows stops, at made.sys+")


REFERENCE = (
    "if (Major == IRP_MJ_CREATE) ObReferenceObject(File = IoGetCurrentIrpStackLocation(Irp)->FileObject);"
    ' if (Major == IRP_MJ_CLEANUP) SAY("cleanup of %wZ", &File->FileName)'
)


def opened_and_closed(machine: DeviceMachine) -> None:
    def program(devices: Devices, thread: Thread) -> Program[None]:
        handle = (yield from devices.create_file(thread, machine.device + "\\x")).handle
        yield from devices.close_handle(thread, handle)

    machine.do(program)


def test_a_file_is_closed_when_the_driver_gives_its_reference_back(tmp_path: Path) -> None:
    late = "Item = IoAllocateWorkItem(Device); IoQueueWorkItem(Item, OnFile, DelayedWorkQueue, NULL);"
    files = f"{REFERENCE}; if (Major == IRP_MJ_CLEANUP) {{ {late} }}"
    machine = DeviceMachine(made(tmp_path, files=files), "made", r"\\.\Deleted")
    opened_and_closed(machine)
    assert machine.target.unload_driver("made") == 0
    assert machine.lines() == [
        r"cleanup of \x",
        r"item: \x",
        "close: magic 1234, 0 open",
        "unload: devices 1",
    ]
    assert machine.kernel.broken_rules == ()


def test_a_reference_to_a_file_that_is_not_given_back_keeps_the_driver(tmp_path: Path) -> None:
    machine = DeviceMachine(made(tmp_path, files=REFERENCE), "made", r"\\.\Deleted")
    opened_and_closed(machine)
    assert machine.target.unload_driver("made") == STATUS_DEVICE_BUSY
    assert machine.lines() == [r"cleanup of \x"]
    (broken,) = machine.kernel.broken_rules
    assert broken.rule == "UnloadReferences"
    assert re.fullmatch(
        r"made\.sys cannot be unloaded: a reference keeps a file of its device open, from ObfReferenceObject"
        r" at made\.sys\+0x[0-9a-f]+",
        broken.message,
    )


def test_a_file_that_is_closed_is_gone(tmp_path: Path) -> None:
    keeps = "if (Major == IRP_MJ_CREATE) File = IoGetCurrentIrpStackLocation(Irp)->FileObject"
    image = made(tmp_path, unload="Delete(Device); File->Flags |= 1", files=keeps)
    machine = DeviceMachine(image, "made", r"\\.\Deleted")
    opened_and_closed(machine)
    with pytest.raises(DriverBugcheck):
        machine.target.unload_driver("made")
    (broken,) = machine.kernel.broken_rules
    assert broken.rule == "SpecialPool"
    assert re.match(r"made\.sys \w+ freed pool, instruction at made\.sys\+0x[0-9a-f]+$", broken.message)


@pytest.mark.parametrize(
    "queue", ["IoQueueWorkItem(Item, OnItem, DelayedWorkQueue, NULL)", "IoFreeWorkItem(Item)"]
)
def test_a_work_item_that_is_freed_is_gone(queue: str, tmp_path: Path) -> None:
    unload = f"Item = IoAllocateWorkItem(Device); IoFreeWorkItem(Item); {queue}; Delete(Device)"
    booted = Booted()
    with pytest.raises(DriverBugcheck):
        booted.load(made(tmp_path, unload=unload), "made.sys")
        booted.kernel.unload_driver(name="made", context=SYSTEM)
    (broken,) = booted.kernel.broken_rules
    assert "allocated at made.sys+" in broken.message and "freed at made.sys+" in broken.message


@pytest.mark.parametrize(
    ("unload", "entry", "code", "rule", "told"),
    [
        (
            'Delete(Device); IoDeleteDevice(Kept); SAY("%u", 1)',
            NOTHING,
            0x50,
            "SpecialPool",
            "reads freed pool, at made.sys+",
        ),
        (
            "Delete(Device); IoDeleteDevice(Kept)",
            NOTHING,
            0x50,
            "SpecialPool",
            "reads freed pool, at the end of the routine at made",
        ),
        (
            'Delete(Device); SAY("%x", ((EXTENSION *)Kept->DeviceExtension)->Magic)',
            NOTHING,
            0x50,
            "SpecialPool",
            "reads freed pool, instruction at made.sys+",
        ),
        (
            "ObReferenceObject(Device); Delete(Device); ObDereferenceObject(Device); Kept->Flags |= 1",
            NOTHING,
            0x50,
            "SpecialPool",
            "reads freed pool, instruction at made.sys+",
        ),
        (
            DELETE,
            "Extension[1].Magic = 1",
            0xC1,
            "StopsWindows",
            "calls IoDeleteDevice, and Windows stops, at made.sys+",
        ),
        (
            DELETE,
            "Extension[2].Opens = 1",
            0x50,
            "SpecialPool",
            "writes to what lies behind 344 bytes of pool",
        ),
    ],
    ids=["twice", "twice-in-a-tail-call", "after", "after-its-reference", "behind", "far-behind"],
)
def test_what_is_done_to_a_device_that_is_gone(
    unload: str, entry: str, code: int, rule: str, told: str, tmp_path: Path
) -> None:
    booted = Booted()
    with pytest.raises(DriverFault) as ended:
        booted.load(made(tmp_path, unload=unload, entry=entry), "made.sys")
        booted.kernel.unload_driver(name="made", context=SYSTEM)
    assert isinstance(ended.value, DriverBugcheck) and ended.value.code == code
    (broken,) = booted.kernel.broken_rules
    assert (broken.rule, broken.driver) == (rule, "made.sys")
    assert told in broken.message


def test_a_file_that_outlives_a_spoilt_device_ends_the_target(tmp_path: Path) -> None:
    """What lies behind the extension is looked at when the device is deleted, not when it is freed."""
    machine = DeviceMachine(made(tmp_path, entry="Extension[1].Magic = 1"), "made", r"\\.\Deleted")
    with pytest.raises(DriverBugcheck) as ended:
        machine.call(0x222000)
    assert (ended.value.code, ended.value.module) == (0xC1, "made.sys")
