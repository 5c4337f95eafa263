r"""The filter manager's names of files, and where its routines are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import MissingImport

DRIVER = r"""
#include <fltKernel.h>
#define QUERY FLT_FILE_NAME_QUERY_DEFAULT
static PFLT_FILE_NAME_INFORMATION Name;
static PFILE_OBJECT File;

static VOID Open(PCWSTR path)
{
    UNICODE_STRING text;
    OBJECT_ATTRIBUTES named;
    IO_STATUS_BLOCK status;
    HANDLE h;
    RtlInitUnicodeString(&text, path);
    InitializeObjectAttributes(&named, &text, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwCreateFile(&h, GENERIC_WRITE, &named, &status, NULL, 0x80, 0, FILE_OPEN_IF, 0x20, NULL, 0);
    ObReferenceObjectByHandle(h, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL);
    ZwClose(h);
}

static VOID Ask(FLT_FILE_NAME_OPTIONS options)
{
    DbgPrint("%x", FltGetFileNameInformationUnsafe(File, NULL, options, &Name));
    DbgPrint(" %u %wZ on %wZ,", Name->Format, &Name->Name, &Name->Volume);
    DbgPrint(" %u %u,", Name->NamesParsed, Name->Extension.Length + Name->FinalComponent.Length);
    DbgPrint(" %x %u", FltParseFileNameInformation(Name), Name->NamesParsed);
    DbgPrint(" [%wZ] [%wZ]", &Name->ParentDir, &Name->FinalComponent);
    DbgPrint(" [%wZ] [%wZ]", &Name->Extension, &Name->Stream);
    DbgPrint(" %u %d\n", Name->Share.Length, Name->Size == sizeof *Name);
    FltReferenceFileNameInformation(Name);
    FltReleaseFileNameInformation(Name);
    FltReleaseFileNameInformation(Name);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver) { UNREFERENCED_PARAMETER(driver); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING extension, stream, final;
    UNICODE_STRING routine = RTL_CONSTANT_STRING(L"FltParseFileNameInformation");
    FLT_IO_PARAMETER_BLOCK block = {0};
    FLT_CALLBACK_DATA data = {.Iopb = &block};
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    C_ASSERT(FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP == 0x400);
    C_ASSERT(sizeof(FLT_FILE_NAME_INFORMATION) == 0x78 && sizeof(FLT_PARAMETERS) == 0x30);
    C_ASSERT(sizeof(FLT_IO_PARAMETER_BLOCK) == 0x48 && sizeof(FLT_CALLBACK_DATA) == 0x58);
    C_ASSERT(sizeof(FLT_REGISTRATION) == 0x70 && sizeof(FLT_RELATED_OBJECTS) == 0x30);
    C_ASSERT(sizeof(FLT_OPERATION_REGISTRATION) == 0x20 && sizeof(FLT_CONTEXT_REGISTRATION) == 0x38);
    Open(L"\\??\\C:\\Windows\\Temp\\a.tar.log:own:$DATA");
    Ask(FLT_FILE_NAME_OPENED | QUERY), Ask(FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_FILESYSTEM_ONLY);
    ObDereferenceObject(File);
    Open(L"\\??\\C:\\hosts");
    Ask(FLT_FILE_NAME_NORMALIZED | 0x400 | FLT_FILE_NAME_DO_NOT_CACHE);
    DbgPrint("%x", FltGetFileNameInformationUnsafe(File, NULL, QUERY, &Name));
    DbgPrint(" %x", FltGetFileNameInformationUnsafe(File, NULL, 4 | QUERY, &Name));
    DbgPrint(" %x", FltGetFileNameInformationUnsafe(File, NULL, FLT_FILE_NAME_OPENED | 0x500, &Name));
    DbgPrint(" %x", FltGetFileNameInformationUnsafe(File, NULL, 1 | FLT_FILE_NAME_QUERY_CACHE_ONLY, &Name));
    block.TargetFileObject = File;
    DbgPrint(" %x", FltGetFileNameInformation(&data, FLT_FILE_NAME_OPENED | QUERY, &Name));
    DbgPrint(" %wZ\n", &Name->Name), FltReleaseFileNameInformation(Name);
    DbgPrint("%d", FltGetRoutineAddress("FltParseFileNameInformation") == (PVOID)FltParseFileNameInformation);
    DbgPrint(" %p %p", FltGetRoutineAddress("FltNoSuch"), FltGetRoutineAddress("ZwClose"));
    DbgPrint(" %p\n", MmGetSystemRoutineAddress(&routine));
    RtlInitUnicodeString(&routine, L"\\Device\\Mup\\server\\a.b\\c.tar.gz:s");
    DbgPrint("%x [%wZ] [%wZ]", FltParseFileName(&routine, &extension, &stream, NULL), &extension, &stream);
    DbgPrint(" %x [%wZ]\n", FltParseFileName(&routine, NULL, NULL, &final), &final);
    ObDereferenceObject(File);
    return STATUS_SUCCESS;
}
"""
VOLUME = r"\Device\HarddiskVolume3"


def test_names_are_lent_parsed_and_given_back(booted: Booted, tmp_path: Path) -> None:
    assert booted.load(make_driver(DRIVER, tmp_path), "made.sys") == 0
    temp = rf"{VOLUME}\windows\temp\a.tar.log"
    assert b"".join(booted.debugger.prints).decode("ascii").splitlines() == [
        rf"0 2 {temp}:own:$data on {VOLUME}, 0 0, 0 15"
        r" [\windows\temp\] [a.tar.log:own:$data] [log] [:own:$data] 0 1",
        rf"0 1 {temp}:own on {VOLUME}, 0 0, 0 15 [\windows\temp\] [a.tar.log:own] [log] [:own] 0 1",
        rf"0 1 {VOLUME}\hosts on {VOLUME}, 0 0, 0 15 [\] [hosts] [(null)] [(null)] 0 1",
        rf"c000000d c000000d c000000d c01c0018 0 {VOLUME}\hosts",
        f"1 {'0' * 16} {'0' * 16} {'0' * 16}",
        "0 [gz] [:s] 0 [c.tar.gz:s]",
    ]
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0
    assert booted.kernel.broken_rules == ()


ASKS = r"""
#include <fltKernel.h>
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Mine");
    PFLT_FILE_NAME_INFORMATION information;
    FILE_OBJECT file = {.Type = 5, .Size = sizeof file};
    UNREFERENCED_PARAMETER(path);
    IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &file.DeviceObject);
    WHAT
    return STATUS_SUCCESS;
}
"""
ASK = "(void)FltGetFileNameInformationUnsafe(&file, NULL, {}, &information);"


@pytest.mark.parametrize(
    ("what", "lacks"),
    [
        (ASK.format("FLT_FILE_NAME_SHORT | FLT_FILE_NAME_QUERY_DEFAULT"), "FLT_FILE_NAME_SHORT"),
        (ASK.format("FLT_FILE_NAME_OPENED"), "without a query method"),
        (
            ASK.format("FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT"),
            "of what is no file on the volume",
        ),
    ],
)
def test_what_is_not_known_of_a_name_ends_the_run(
    what: str, lacks: str, booted: Booted, tmp_path: Path
) -> None:
    with pytest.raises(MissingImport, match=f"FltGetFileNameInformation\\({lacks}\\)"):
        booted.load(make_driver(ASKS.replace("WHAT", what), tmp_path), "made.sys")
