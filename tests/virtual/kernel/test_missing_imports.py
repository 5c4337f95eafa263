"""A driver that imports what this target lacks runs until it uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted
from made_drivers import make_driver

from harness.errors import MissingImport
from harness.outcome import Outcome
from harness.virtual.kernel.kernel import check_driver_file

SOURCE = """
#include <ntifs.h>
__declspec(dllimport) NTSTATUS NTAPI ZwQueryLicenseValue(int, void *, ULONG, PULONG);
static volatile ULONG answers;

__declspec(noinline) static void Ask(void)
{
    answers += ZwQueryLicenseValue(0, NULL, 0, NULL);
    answers++;
}

static VOID NTAPI Notify(HANDLE parent, HANDLE pid, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(create);
    if (pid == (HANDLE)20)
        Ask();
    if (pid == (HANDLE)21)
        answers += *(volatile ULONG *)&CcCanIWrite;
    if (pid == (HANDLE)22) {
        UNICODE_STRING text;
        RtlInitUnicodeString(&text, (PCWSTR)&CcCanIWrite);
        answers += text.Length;
    }
    DbgPrint("pid %d\\n", (int)(ULONG_PTR)pid);
}

static VOID NTAPI AsksLast(HANDLE parent, HANDLE pid, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(create);
    if (pid == (HANDLE)23)
        ZwQueryLicenseValue(0, NULL, 0, NULL);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(path);
    PsSetCreateProcessNotifyRoutine(AsksLast, FALSE);
    return PsSetCreateProcessNotifyRoutine(Notify, FALSE);
}
"""


@pytest.fixture(scope="module")
def wants_more(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_driver(SOURCE, Path(tmp_path_factory.mktemp("missing")), "wants_more")


@pytest.fixture
def booted(wants_more: bytes) -> Booted:
    booted = Booted()
    assert booted.load(wants_more, "wants_more.sys") == 0
    return booted


def test_all_names_are_told_at_once(wants_more: bytes) -> None:
    assert check_driver_file(wants_more) == ("CcCanIWrite", "ZwQueryLicenseValue")


def test_what_does_not_use_them_runs(booted: Booted) -> None:
    booted.create(50)
    assert booted.debugger.prints == [b"pid 50\n"]
    assert booted.debugger.offered == []


def test_a_call_ends_the_run_with_its_name_and_its_callers(booted: Booted) -> None:
    with pytest.raises(MissingImport) as caught:
        booted.create(20)
    error = caught.value
    assert (error.name, Outcome.of(error)) == ("ZwQueryLicenseValue", Outcome.USAGE)
    story, stack = error.message.split(", at ")
    assert story == "wants_more.sys calls ZwQueryLicenseValue, which the virtual target lacks"
    assert [place.partition("+")[0] for place in stack.split(" <- ")] == ["wants_more.sys"] * 2
    assert booted.debugger.offered == [] and booted.debugger.bugchecks == []
    with pytest.raises(MissingImport, match="ZwQueryLicenseValue"):
        booted.create(50)


def test_a_routine_that_jumps_there_at_its_end_is_no_caller_any_more(booted: Booted) -> None:
    with pytest.raises(MissingImport, match=r"lacks, in a tail call: no driver's code is on the stack"):
        booted.create(23)


@pytest.mark.parametrize("pid", [21, 22], ids=["read-by-the-driver", "read-by-an-export"])
def test_a_variable_ends_it_where_it_is_read(pid: int, booted: Booted) -> None:
    with pytest.raises(
        MissingImport, match=r"uses the variable CcCanIWrite, .*at wants_more\.sys\+0x"
    ) as caught:
        booted.create(pid)
    assert caught.value.name == "CcCanIWrite"


def test_another_modules_routine_is_named_with_the_module(wants_more: bytes) -> None:
    booted = Booted()
    image = wants_more.replace(b"ntoskrnl.exe\0", b"fltmgr.sys\0\0\0")
    with pytest.raises(MissingImport) as caught:
        booted.load(image, "wants_more.sys")
    assert caught.value.name == "fltmgr.sys!PsSetCreateProcessNotifyRoutine"


def test_a_name_that_windows_lacks_too_is_said_to_be_misspelt(wants_more: bytes) -> None:
    booted = Booted()
    booted.load(wants_more.replace(b"ZwQueryLicenseValue\0", b"ZwQueryLicenceValue\0"))
    with pytest.raises(MissingImport, match="check its spelling"):
        booted.create(20)
