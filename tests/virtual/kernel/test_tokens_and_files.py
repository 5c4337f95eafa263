r"""Whose token a process has, security identifiers as text, and file objects of executables and of logs."""

from __future__ import annotations

from pathlib import Path

from booted import SYSTEM, USER, Booted
from made_drivers import make_driver

DRIVER = r"""
#include <ntifs.h>
NTSTATUS NTAPI PsReferenceProcessFilePointer(PEPROCESS Process, PFILE_OBJECT *File);
ULONG NTAPI PsGetProcessSessionId(PEPROCESS Process);
static UCHAR Copy[68];
static VOID Whose(ULONG pid)
{
    PEPROCESS process;
    PFILE_OBJECT file;
    PTOKEN_USER user;
    PACCESS_TOKEN token;
    UNICODE_STRING text;
    POBJECT_NAME_INFORMATION name;
    PsLookupProcessByProcessId(ULongToHandle(pid), &process);
    token = PsReferencePrimaryToken(process);
    DbgPrint("%u", PsGetProcessSessionId(process));
    DbgPrint(" %x", SeQueryInformationToken(token, TokenUser, (PVOID *)&user));
    RtlConvertSidToUnicodeString(&text, user->User.Sid, TRUE), DbgPrint(" %wZ", &text);
    DbgPrint(" %d %u", RtlValidSid(user->User.Sid), RtlLengthSid(user->User.Sid));
    DbgPrint(" %x", RtlCopySid(8, Copy, user->User.Sid));
    DbgPrint(" %x", RtlCopySid(68, Copy, user->User.Sid));
    DbgPrint(" %d\n", RtlEqualSid(Copy, user->User.Sid));
    RtlFreeUnicodeString(&text), ExFreePool(user), PsDereferencePrimaryToken(token);
    DbgPrint("%x", PsReferenceProcessFilePointer(process, &file)), DbgPrint(" %wZ", &file->FileName);
    IoQueryFileDosDeviceName(file, &name), DbgPrint(" %wZ\n", &name->Name);
    ExFreePool(name), ObDereferenceObject(file), ObDereferenceObject(process);
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver) { (void)driver; }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING log = RTL_CONSTANT_STRING(L"\\??\\C:\\Windows\\Temp\\a.log");
    OBJECT_ATTRIBUTES named;
    IO_STATUS_BLOCK status;
    PFILE_OBJECT file;
    HANDLE h;
    (void)path, driver->DriverUnload = Unload;
    Whose(60), Whose(64);
    InitializeObjectAttributes(&named, &log, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwCreateFile(&h, GENERIC_WRITE, &named, &status, NULL, 0x80, 0, FILE_OPEN_IF, 0x20, NULL, 0);
    DbgPrint("%x", ObReferenceObjectByHandle(h, 0, *PsProcessType, KernelMode, (PVOID *)&file, NULL));
    DbgPrint(" %x", ObReferenceObjectByHandle(h, 0, *IoFileObjectType, KernelMode, (PVOID *)&file, NULL));
    DbgPrint(" %wZ\n", &file->FileName), ObDereferenceObject(file), ZwClose(h);
    return STATUS_SUCCESS;
}
"""
WHOSE = "S-1-5-21-1004336348-1177238915-682003330-1001"
VOLUME = r"\Device\HarddiskVolume3"


def test_a_session_tells_whose_a_process_is(booted: Booted, tmp_path: Path) -> None:
    for pid, session, name in ((60, 0, "service.exe"), (64, 1, "notepad.exe")):
        image = rf"{VOLUME}\Windows\{name}"
        booted.kernel.create_process_object(pid=pid, parent_pid=8, name=name, image=image, session=session)
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [
        "0 0 S-1-5-18 1 12 c0000023 0 1",
        r"0 \Windows\service.exe C:\Windows\service.exe",
        f"1 0 {WHOSE} 1 28 c0000023 0 1",
        r"0 \Windows\notepad.exe C:\Windows\notepad.exe",
        r"c0000024 0 \windows\temp\a.log",
    ]
    booted.kernel.unload_driver(name="made.sys", context=SYSTEM)
    assert booted.kernel.broken_rules == ()


REFERENCES = r"""
#include <ntifs.h>
static PFILE_OBJECT Kept;
static VOID NTAPI OnImage(PUNICODE_STRING name, HANDLE pid, PIMAGE_INFO info)
{
    PFILE_OBJECT file = CONTAINING_RECORD(info, IMAGE_INFO_EX, ImageInfo)->FileObject;
    POBJECT_NAME_INFORMATION dos;
    (void)pid;
    DbgPrint("%wZ %wZ", name, &file->FileName);
    IoQueryFileDosDeviceName(file, &dos), DbgPrint(" %wZ %d\n", &dos->Name, file == Kept), ExFreePool(dos);
    ObReferenceObject(file);
    if (Kept != NULL)
        ObDereferenceObject(Kept);
    Kept = file;
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    PsRemoveLoadImageNotifyRoutine(OnImage);
    ObDereferenceObject(Kept);
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path, driver->DriverUnload = Unload;
    return PsSetLoadImageNotifyRoutine(OnImage);
}
"""


def test_a_file_that_a_callback_is_told_of_can_be_kept(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(REFERENCES, tmp_path), "made.sys") == 0
    for _ in range(2):
        booted.kernel.image_notify(
            name=rf"{VOLUME}\Windows\a.dll",
            pid=60,
            base=0x10000,
            size=0x1000,
            system_mode=False,
            context=USER,
        )
    line = r"\Device\HarddiskVolume3\Windows\a.dll \Windows\a.dll C:\Windows\a.dll"
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [f"{line} 0", f"{line} 1"]
    booted.kernel.unload_driver(name="made.sys", context=SYSTEM)
    assert booted.kernel.broken_rules == ()
