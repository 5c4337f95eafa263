r"""What a callback of CmRegisterCallbackEx is told when a driver works with keys, and what its answers do."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck

DRIVER = r"""
#include <ntifs.h>
typedef struct { ULONG Number; LARGE_INTEGER Cookie; NTSTATUS Before, After; } FILTER;
static FILTER High = {1}, Low = {2};
static OBJECT_ATTRIBUTES A;
static UNICODE_STRING N, Value = RTL_CONSTANT_STRING(L"Level");
static BOOLEAN Quiet;
static NTSTATUS NTAPI OnKey(PVOID c, PVOID class, PVOID information)
{
    FILTER *filter = c;
    const ULONG what = (ULONG)(ULONG_PTR)class;
    REG_CREATE_KEY_INFORMATION_V1 *open = information;
    REG_SET_VALUE_KEY_INFORMATION *set = information;
    REG_POST_OPERATION_INFORMATION *post = information;
    PCUNICODE_STRING name = NULL;
    if (Quiet)
        return STATUS_SUCCESS;
    DbgPrint("%u:%u", filter->Number, what);
    switch (what) {
    case RegNtPreOpenKeyEx:
    case RegNtPreCreateKeyEx:
        DbgPrint(" %wZ v%u %x %x\n", open->CompleteName, (ULONG)open->Version, open->DesiredAccess,
            open->Attributes);
        open->CallContext = (PVOID)(ULONG_PTR)(filter->Number * 10);
        return filter->Before;
    case RegNtPreSetValueKey:
        CmCallbackGetKeyObjectIDEx(&filter->Cookie, set->Object, NULL, &name, 0);
        DbgPrint(" %wZ %wZ %u %u\n", name, set->ValueName, set->Type, *(ULONG *)set->Data);
        CmCallbackReleaseKeyObjectIDEx(name);
        return filter->Before;
    case RegNtPostOpenKeyEx:
    case RegNtPostCreateKeyEx:
    case RegNtPostSetValueKey:
        DbgPrint(" %x %u %d\n", post->Status, (ULONG)(ULONG_PTR)post->CallContext, post->Object != NULL);
        post->ReturnStatus = STATUS_NOT_FOUND;
        return filter->After;
    }
    DbgPrint(" %d\n", KeAreApcsDisabled());
    return STATUS_SUCCESS;
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    %UNLOAD%
}
static HANDLE Open(PUNICODE_STRING path)
{
    HANDLE h = NULL;
    InitializeObjectAttributes(&A, path, OBJ_KERNEL_HANDLE, NULL, NULL);
    DbgPrint("open %x\n", ZwOpenKey(&h, KEY_READ, &A));
    return h;
}
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    HANDLE h;
    ULONG number = 7;
    driver->DriverUnload = Unload;
    RtlInitUnicodeString(&N, L"1000"), CmRegisterCallbackEx(OnKey, &N, driver, &High, &High.Cookie, NULL);
    RtlInitUnicodeString(&N, L"900"), CmRegisterCallbackEx(OnKey, &N, driver, &Low, &Low.Cookie, NULL);
    (void)number, (void)h;
    %BODY%
    return STATUS_SUCCESS;
}
"""
BOTH = "CmUnRegisterCallback(High.Cookie), CmUnRegisterCallback(Low.Cookie);"
SETS = r"""
    h = Open(path);
    DbgPrint("set %x\n", ZwSetValueKey(h, &Value, 0, REG_DWORD, &number, sizeof number));
    DbgPrint("query %x\n", ZwQueryValueKey(h, &Value, KeyValueFullInformation, &number, 0, &number));
    DbgPrint("close %x\n", ZwClose(h));
"""
REFUSES = "Low.Before = STATUS_ACCESS_DENIED; h = Open(path);"
BYPASSES = r"""
    Quiet = TRUE, h = Open(path), Quiet = FALSE, Low.Before = STATUS_CALLBACK_BYPASS;
    DbgPrint("set %x\n", ZwSetValueKey(h, &Value, 0, REG_DWORD, &number, sizeof number)), Quiet = TRUE;
    DbgPrint("query %x\n", ZwQueryValueKey(h, &Value, KeyValueFullInformation, &number, 0, &number));
    ZwClose(h);
"""
CHANGES_THE_END = 'High.After = STATUS_CALLBACK_BYPASS; h = Open(path); DbgPrint("%d\\n", h != NULL);'
KEY = r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\made"
ASKED = [f"1:28 {KEY} v1 20019 200", f"2:28 {KEY} v1 20019 200"]


def driver(folder: Path, body: str, unload: str = BOTH) -> bytes:
    return make_driver(DRIVER.replace("%BODY%", f"(void)Open;{body}").replace("%UNLOAD%", unload), folder)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (
            SETS,
            [
                *ASKED,
                *("2:29 0 20 1", "1:29 0 10 1", "open 0"),
                *(f"1:1 {KEY} Level 4 7", f"2:1 {KEY} Level 4 7", "2:16 0 0 1", "1:16 0 0 1", "set 0"),
                *("1:8 0", "2:8 0", "2:23 0", "1:23 0", "query c0000023"),
                *("1:14 0", "2:14 0", "2:25 0", "1:25 0", "close 0"),
            ],
        ),
        (REFUSES, [*ASKED, "1:29 c0000022 10 0", "open c0000022"]),
        (
            BYPASSES,
            [
                *("open 0", f"1:1 {KEY} Level 4 7", f"2:1 {KEY} Level 4 7", "1:16 0 0 1", "set 0"),
                "query c0000034",
            ],
        ),
        (CHANGES_THE_END, [*ASKED, "2:29 0 20 1", "1:29 0 10 1", "open c0000225", "1"]),
    ],
    ids=["tells", "refuses", "bypasses", "changes the end"],
)
def test_callbacks_are_asked_from_above_and_told_from_below(
    body: str, lines: list[str], booted: Booted, tmp_path: Path
) -> None:
    assert booted.load(driver(tmp_path, body), "made.sys") == 0
    assert b"".join(booted.debugger.prints).decode("cp1252").splitlines() == lines
    assert booted.kernel.unload_driver(name="made.sys", context=SYSTEM) == 0


def test_one_that_is_left_behind_is_called_where_no_driver_is(booted: Booted, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert booted.load(driver(tmp_path, "", ";"), "made.sys") == 0
    booted.kernel.unload_driver(name="made.sys", context=SYSTEM)
    with pytest.raises(DriverBugcheck, match="0x000000ce"):
        booted.load(driver(tmp_path / "other", "h = Open(path);"), "other.sys")
