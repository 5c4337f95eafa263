"""A bugcheck names the instruction at fault, the call that it came of, or the routine that returned."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.api import check, run
from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.runs.trial import exercise
from harness.toolchain import Arch, build_driver

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"
SOURCE = """#include <ntddk.h>

static VOID OnThread(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    if (Create)
        *(volatile ULONG *)(ULONG_PTR)0xFFFF800012345678 = 1;
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
"""


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_a_wild_pointer_names_its_function_and_line(debugger: str, tmp_path: Path) -> None:
    source = tmp_path / "wild.c"
    source.write_text(SOURCE, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "wild.sys").path
    series = run(SCENARIO, driver=driver, debugger=debugger, trace_dir=tmp_path / "traces")
    (result,) = series.results
    assert result.outcome is Outcome.BUGCHECK
    crash = result.verdict.bugcheck
    assert crash is not None and crash.offset is not None
    at = f"wild.sys+0x{crash.offset:x}"
    assert result.reason.endswith(f" in wild.sys, instruction at {at} (OnThread, wild.c:8)")
    assert result.trace is not None
    again = check(result.trace, SCENARIO)
    assert again.outcome is Outcome.BUGCHECK
    assert again.reason.endswith(f" in wild.sys, instruction at {at}")


STOPS = """#include <ntifs.h>

static VOID FreesTwice(VOID)
{
    PVOID Block = ExAllocatePoolWithTag(NonPagedPool, 61, 'spoS');

    ExFreePoolWithTag(Block, 'spoS');
    ExFreePoolWithTag(Block, 'spoS');
}

static VOID WritesBehind(VOID)
{
    UCHAR *Block = ExAllocatePoolWithTag(NonPagedPool, 61, 'spoS');

    Block[61] = 0;
    ExFreePool(Block);
}

static VOID GivesBackTwice(VOID)
{
    PETHREAD Thread;

    if (NT_SUCCESS(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &Thread))) {
        ObDereferenceObject(Thread);
        ObDereferenceObject(Thread);
        ObDereferenceObject(Thread);
    }
}

static VOID FailsFast(VOID)
{
    __asm__ volatile("int $0x29" : : "c"(3));
}

static VOID StaysAttached(VOID)
{
    static KAPC_STATE State;
    PEPROCESS Process = PsInitialSystemProcess;
    ULONG Id;

    for (Id = 8; Process == PsInitialSystemProcess; Id += 4)
        PsLookupProcessByProcessId(UlongToHandle(Id), &Process);
    KeStackAttachProcess(Process, &State);
    ObDereferenceObject(Process);
}

static VOID SignalsNothing(VOID)
{
    KeSetEvent((PRKEVENT)0xFFFF800012345678, 0, FALSE);
    KeSetEvent((PRKEVENT)0xFFFF800012345678, 0, FALSE);
}

static VOID NTAPI EndsInCall(PVOID Event)
{
    KeSetEvent(Event, 0, FALSE);
}

static VOID SignalsFreed(VOID)
{
    static WORK_QUEUE_ITEM Item;
    PRKEVENT Event = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Event), 'spoS');
    LARGE_INTEGER Second = {.QuadPart = -10000000};

    KeInitializeEvent(Event, NotificationEvent, FALSE);
    ExInitializeWorkItem(&Item, EndsInCall, Event);
    ExFreePool(Event);
    ExQueueWorkItem(&Item, DelayedWorkQueue);
    KeDelayExecutionThread(KernelMode, FALSE, &Second);
}

static VOID FreesTimer(VOID)
{
    PKTIMER Timer = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Timer), 'spoS');
    LARGE_INTEGER Soon = {.QuadPart = -1000000};
    LARGE_INTEGER Second = {.QuadPart = -10000000};

    KeInitializeTimer(Timer);
    KeSetTimer(Timer, Soon, NULL);
    ExFreePool(Timer);
    KeDelayExecutionThread(KernelMode, FALSE, &Second);
}

static VOID NeedsStack(VOID)
{
    static volatile ULONG Where = 7;
    volatile UCHAR Room[64 << 10];

    Room[Where] = 1;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    static VOID (*const Ways[])(VOID) = {FreesTwice, WritesBehind, GivesBackTwice, FailsFast, StaysAttached,
                                       SignalsNothing, SignalsFreed, FreesTimer, NeedsStack};

    UNREFERENCED_PARAMETER(Driver);
    Ways[Path->Buffer[Path->Length / sizeof(WCHAR) - 1] - L'0']();
    return STATUS_UNSUCCESSFUL;
}
"""
Stops = Callable[[int], tuple[int, list[str]]]


@pytest.fixture(scope="module")
def stops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stops]:
    """The bugcheck to which a driver's way of that number leads, and what the rules say."""
    folder = tmp_path_factory.mktemp("stops")
    source = folder / "stops.c"
    source.write_text(STOPS, encoding="utf-8", newline="\n")
    built = build_driver(source, Arch.X64, folder / "stops.sys").path

    def try_way(number: int) -> tuple[int, list[str]]:
        driver = folder / f"stops-{number}.sys"
        for suffix in (".sys", ".pdb"):
            shutil.copyfile(built.with_suffix(suffix), driver.with_suffix(suffix))
        with open_rig(
            machine="virtual", debugger="none", driver=driver, trace_folder=folder / "traces"
        ) as rig:
            result = run_scenario(rig, exercise(), seed=1)
        assert result.outcome is Outcome.BUGCHECK and result.verdict.bugcheck is not None
        rules = ("StopsWindows", "SpecialPool")
        messages = [broken.message for broken in result.broken_rules if broken.rule in rules]
        return result.verdict.bugcheck.code, messages

    yield try_way


@pytest.mark.parametrize(
    ("way", "code", "message"),
    [
        (0, 0xC2, r"calls ExFreePoolWithTag, .*; of 61 .*allocated at {0}:5\), freed at {0}:7\)"),
        (1, 0xC1, r"calls ExFreePool, .*; of 61 bytes of pool, allocated at {1}:13\)"),
        (2, 0x18, r"calls ObfDereferenceObject, and Windows stops, at {2}:"),
        (3, 0x139, r"raises what nothing handles, and Windows stops, instruction at {3}"),
        (4, 0x01, r"stays attached to another process by the routine at .*\(DriverEntry"),
        (5, 0x50, r"hands the kernel the address 0xffff8000123456\w\w, .*, at {4}"),
        (6, 0x50, r"reads freed pool, at the end of the routine at {5}.*allocated at {6}.*freed at {6}"),
        (
            7,
            0x0A,
            r"left something in use where the kernel writes to freed pool: allocated at {7}.*freed at {7}",
        ),
        (8, 0x7F, r"uses up the kernel stack, and Windows stops, instruction at {8}"),
    ],
)
def test_a_bugcheck_by_a_call_names_the_call(stops: Stops, way: int, code: int, message: str) -> None:
    seen, messages = stops(way)
    assert (seen, len(messages)) == (code, 1), messages
    names = (
        "FreesTwice",
        "WritesBehind",
        "GivesBackTwice",
        "FailsFast",
        "SignalsNothing",
        "EndsInCall",
        "SignalsFreed",
        "FreesTimer",
        "NeedsStack",
    )
    pattern = message.format(*(rf"stops-\d\.sys\+\w+ \({name}, stops\.c" for name in names))
    assert re.search(pattern, messages[0]), messages[0]
