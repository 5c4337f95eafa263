r"""Contexts that minifilters set on their instances and on the volume, and references to their objects."""

from __future__ import annotations

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck, DriverHang

DRIVER = r"""
#include <fltKernel.h>
typedef struct { ULONG Number; } NUMBERED;
static PFLT_FILTER Filter;
static PFLT_INSTANCE Instance;
static PFLT_VOLUME Volume;
static WCHAR Case;

static VOID NTAPI Cleans(PFLT_CONTEXT context, FLT_CONTEXT_TYPE type)
{
    DbgPrint("cleans %u of %x\n", ((NUMBERED *)context)->Number, type);
}
static PFLT_CONTEXT Make(FLT_CONTEXT_TYPE type, ULONG number)
{
    PFLT_CONTEXT made;
    if (NT_SUCCESS(FltAllocateContext(Filter, type, sizeof(NUMBERED), NonPagedPool, &made)))
        ((NUMBERED *)made)->Number = number;
    return made;
}
static NTSTATUS NTAPI Setup(PCFLT_RELATED_OBJECTS o, FLT_INSTANCE_SETUP_FLAGS f, DEVICE_TYPE d,
                            FLT_FILESYSTEM_TYPE t)
{
    PFLT_CONTEXT first = Make(FLT_INSTANCE_CONTEXT, 1), second = Make(FLT_INSTANCE_CONTEXT, 2), found;
    (void)f, (void)d, (void)t;
    Instance = o->Instance, Volume = o->Volume;
    DbgPrint("%x", FltGetInstanceContext(Instance, &found));
    DbgPrint(" %x", FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, first, NULL));
    DbgPrint(" %x", FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, first, NULL));
    DbgPrint(" %x", FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, second, &found));
    DbgPrint(" %d\n", found == first), FltReleaseContext(found), FltReleaseContext(first);
    DbgPrint("%x\n", FltSetInstanceContext(Instance, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, second, NULL));
    FltReleaseContext(second);
    DbgPrint("%x %d", FltGetInstanceContext(Instance, &found), found == second);
    DbgPrint(" %x\n", FltSetVolumeContext(Volume, FLT_SET_CONTEXT_KEEP_IF_EXISTS, found, NULL));
    FltReleaseContext(found);
    first = Make(FLT_VOLUME_CONTEXT, 3);
    DbgPrint("%x", FltSetVolumeContext(Volume, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, first, NULL));
    FltReleaseContext(first);
    DbgPrint(" %x %d\n", FltGetVolumeContext(Filter, Volume, &found), found == first);
    FltReferenceContext(found), FltReleaseContext(found);
    if (Case != L'c')
        FltReleaseContext(found);
    return STATUS_SUCCESS;
}
static VOID Allocates(VOID)
{
    PFLT_CONTEXT made;
    DbgPrint("%x", FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, 8, NonPagedPool, &made));
    DbgPrint(" %x", FltAllocateContext(Filter, FLT_FILE_CONTEXT, 4, NonPagedPool, &made));
    DbgPrint(" %x", FltAllocateContext(Filter, FLT_VOLUME_CONTEXT, 4, PagedPool, &made));
    DbgPrint(" %x", FltAllocateContext(Filter, FLT_VOLUME_CONTEXT, 0, NonPagedPool, &made));
    DbgPrint(" %x %p\n", FltAllocateContext(Filter, 3, 4, NonPagedPool, &made), made);
    DbgPrint("%x", FltAllocateContext(Filter, FLT_STREAM_CONTEXT, 5, PagedPool, &made));
    FltReleaseContext(made);
    DbgPrint(" %x\n", FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, 3, PagedPool, &made));
    FltReleaseContext(made);
}
static NTSTATUS NTAPI FilterUnload(FLT_FILTER_UNLOAD_FLAGS f)
{
    PFLT_CONTEXT old;
    PFLT_VOLUME volume;
    PFLT_FILTER filter;
    (void)f;
    DbgPrint("%x", FltGetVolumeFromInstance(Instance, &volume));
    DbgPrint(" %d", volume == Volume), FltObjectDereference(volume);
    DbgPrint(" %x", FltGetFilterFromInstance(Instance, &filter));
    DbgPrint(" %d", filter == Filter);
    if (Case != L'o')
        FltObjectDereference(filter);
    DbgPrint(" %x\n", FltObjectReference(Volume)), FltObjectDereference(Volume);
    if (Case == L'd') {
        DbgPrint("%x\n", FltDeleteVolumeContext(Filter, Volume, NULL));
        DbgPrint("%x", FltDeleteInstanceContext(Instance, &old));
        DbgPrint(" %x\n", FltDeleteInstanceContext(Instance, NULL));
        FltDeleteContext(old), FltReleaseContext(old);
    } else if (Case == L't') {
        FltGetInstanceContext(Instance, &old), FltReleaseContext(old), FltReleaseContext(old);
    }
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}
static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_INSTANCE_CONTEXT, 0, Cleans, sizeof(NUMBERED), 'txtC'},
    {FLT_VOLUME_CONTEXT, 0, Cleans, sizeof(NUMBERED), 'txtC'},
    {FLT_STREAM_CONTEXT, 0, NULL, FLT_VARIABLE_SIZED_CONTEXTS, 'txtC'},
    {FLT_STREAMHANDLE_CONTEXT, FLTFL_CONTEXT_REGISTRATION_NO_EXACT_SIZE_MATCH, NULL, 8, 'txtC'},
    {FLT_CONTEXT_END}};
static const FLT_REGISTRATION Registration = {.Size = sizeof Registration,
    .Version = FLT_REGISTRATION_VERSION, .ContextRegistration = Contexts,
    .FilterUnloadCallback = FilterUnload, .InstanceSetupCallback = Setup};
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    Case = path->Buffer[path->Length / sizeof(WCHAR) - 1];
    FltRegisterFilter(driver, &Registration, &Filter);
    if (Case == L'a')
        Allocates();
    else
        return FltStartFiltering(Filter);
    return STATUS_SUCCESS;
}
"""
SET = [
    *("c0000225 0 c01c001c c01c0002 1", "cleans 1 of 2", "0"),
    *("0 1 c000000d", "0 0 1"),
]
OBJECTS = "0 1 0 1 0"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The last letter of the service's name says what it does."""
    return make_driver(DRIVER, tmp_path_factory.mktemp("contexts"))


def run(image: bytes, booted: Booted, case: str) -> list[str]:
    assert booted.load(image, f"made-{case}.sys") == 0
    if case != "a":
        assert booted.kernel.unload_driver(name=f"made-{case}.sys", context=SYSTEM) == 0
    return b"".join(booted.debugger.prints).decode("ascii").splitlines()


def test_what_is_set_stays_until_it_is_torn_down(image: bytes, booted: Booted) -> None:
    assert run(image, booted, "s") == [*SET, OBJECTS, "cleans 2 of 2", "cleans 3 of 1"]
    assert booted.kernel.broken_rules == ()


def test_what_is_deleted_goes_when_nobody_has_it_any_more(image: bytes, booted: Booted) -> None:
    assert run(image, booted, "d") == [*SET, OBJECTS, "cleans 3 of 1", "0", "0 c0000225", "cleans 2 of 2"]
    assert booted.kernel.broken_rules == ()


def test_what_may_be_allocated(image: bytes, booted: Booted) -> None:
    prints = run(image, booted, "a")
    assert prints == [f"c01c0016 c01c0016 c000000d c000000d c000000d {'0' * 16}", "0 0"]


def test_a_context_that_is_kept_is_told(image: bytes, booted: Booted) -> None:
    run(image, booted, "c")
    (broken,) = booted.kernel.broken_rules
    assert broken.rule == "UnloadContexts"
    assert "1 reference to a context of a minifilter, from FltGetVolumeContext at" in broken.message


def test_a_context_that_is_released_too_often_stops_the_machine(image: bytes, booted: Booted) -> None:
    with pytest.raises(DriverBugcheck):
        run(image, booted, "t")
    ((code, parameters, _),) = booted.debugger.bugchecks
    assert (code, parameters[0]) == (0xF5, 0x6D)


def test_a_reference_to_the_minifilter_holds_it(image: bytes, booted: Booted) -> None:
    with pytest.raises(DriverHang, match="waits in FltUnregisterFilter for references to the minifilter"):
        run(image, booted, "o")
