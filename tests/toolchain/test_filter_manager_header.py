"""The filter manager's header, and its export list, which is written by hand beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pefile
import pytest

from harness.resources import driver_sources
from harness.toolchain import Arch, build_driver
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.kernel.exports.registry import FILTER_MANAGER

WDK = driver_sources() / "wdk"
DECLARED = re.compile(r"FLT_ROUTINE [^;]*?FLTAPI (\w+)\(([^;]*)\);")
NOT_A_DRIVERS = {"FltpMiniFilterDriverUnload"}
"""What fltmgr.sys does not export."""


def declared() -> dict[str, int]:
    """Each routine with the bytes of its arguments on x86, none of which is longer than a pointer."""
    found = DECLARED.findall((WDK / "fltroutines.h").read_text(encoding="ascii"))
    return {name: 0 if words.strip() == "VOID" else 4 * len(words.split(",")) for name, words in found}


def test_what_is_declared_is_what_the_linker_finds() -> None:
    lines = (WDK / "fltmgr.def").read_text(encoding="ascii").splitlines()
    exports = lines[lines.index("EXPORTS") + 1 :]
    assert exports == sorted(f"{name}@{size}" for name, size in declared().items())


def test_what_is_served_is_declared() -> None:
    served = {name: row for name, row in EXPORTS.items() if row.module == FILTER_MANAGER}
    assert served.keys() - declared().keys() == NOT_A_DRIVERS
    wrong = {
        n: r.arguments for n, r in served.items() if n in declared() and 4 * r.arguments != declared()[n]
    }
    assert not wrong


MINIFILTER = r"""
#include <fltKernel.h>
#include <dontuse.h>
#include <suppress.h>
#pragma prefast(disable : __WARNING_ENCODE_MEMBER_FUNCTION_POINTER, "not valid here")
DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath);
FLT_PREOP_CALLBACK_STATUS FLTAPI Before(_Inout_ PFLT_CALLBACK_DATA Data,
                                        _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                        _Flt_CompletionContext_Outptr_ PVOID *CompletionContext);
#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif
static VOID FLTAPI Status(PCFLT_RELATED_OBJECTS o, PFLT_IO_PARAMETER_BLOCK b, NTSTATUS s, PVOID c)
{
    UNREFERENCED_PARAMETER(o);
    UNREFERENCED_PARAMETER(c);
    DbgPrint("%s %x", FltGetIrpName(b->MajorFunction), s);
}
FLT_PREOP_CALLBACK_STATUS FLTAPI Before(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                        PVOID *Context)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Context);
    FLT_ASSERT(FLT_IS_IRP_OPERATION(Data));
    if (FlagOn(Data->Iopb->Parameters.Create.Options, FILE_DIRECTORY_FILE) ||
        Data->Iopb->Parameters.SetFileInformation.FileInformationClass == FileRenameInformation)
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    (void)FltRequestOperationStatusCallback(Data, Status, NULL);
    return FLT_PREOP_COMPLETE;
}
static CONST FLT_OPERATION_REGISTRATION Callbacks[] = {{IRP_MJ_CREATE, 0, Before, NULL},
                                                       {IRP_MJ_OPERATION_END}};
static CONST FLT_REGISTRATION FilterRegistration = {sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION,
                                                    0, NULL, Callbacks};
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    PFLT_FILTER Filter;
    UNREFERENCED_PARAMETER(RegistryPath);
    return FltRegisterFilter(DriverObject, &FilterRegistration, &Filter);
}
"""


@pytest.mark.parametrize("arch", Arch)
def test_a_minifilter_in_the_wdks_style_is_linked_against_the_filter_manager(
    arch: Arch, tmp_path: Path
) -> None:
    source = tmp_path / "mini.c"
    source.write_text(MINIFILTER, encoding="ascii")
    build_driver(source, arch, tmp_path / "mini.sys")
    image = pefile.PE(str(tmp_path / "mini.sys"))
    (library,) = (entry for entry in image.DIRECTORY_ENTRY_IMPORT if entry.dll == b"fltmgr.sys")
    assert sorted(function.name.decode() for function in library.imports) == [
        *("FltGetIrpName", "FltRegisterFilter", "FltRequestOperationStatusCallback"),
    ]
