/* Waits: for a work item, a timer, two objects, another callback, and for what nobody signals. */
#include "driver_case.h"

/* Waits for a work item. */

static VOID NTAPI SetsEvent(PVOID Parameter)
{
    DbgPrint("work item in %u at irql %u\n", HandleToULong(PsGetCurrentProcessId()), KeGetCurrentIrql());
    Sleep(20);
    KeSetEvent((PKEVENT)Parameter, 0, FALSE);
}

static NTSTATUS WaitsForWorkItem(VOID)
{
    ULONG Before = Now();

    ExInitializeWorkItem(&WorkItem, SetsEvent, &Event);
    ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
    DbgPrint("waited %x for %u ms\n", WaitFor(&Event), Now() - Before);
    return STATUS_SUCCESS;
}

/* Waits for a timer, and for what its DPC signals. */

static NTSTATUS WaitsForTimer(VOID)
{
    ULONG Before = Now();

    StartTimer(30);
    DbgPrint("dpc %x after %u ms\n", WaitFor(&Event), Now() - Before);
    StartTimer(30);
    DbgPrint("timer %x after %u ms\n", WaitFor(&Timer), Now() - Before);
    KeClearEvent(&Event);
    return STATUS_SUCCESS;
}

static VOID UnloadWaitsForTimer(VOID)
{
    StartTimer(30);
    DbgPrint("unload waited %x\n", WaitFor(&Event));
}

/* Times out. */

static NTSTATUS TimesOut(VOID)
{
    ULONG Before = Now();
    NTSTATUS Status = WaitAtMost(&Event, 50);

    DbgPrint("timed out %x after %u ms\n", Status, Now() - Before);
    StartTimer(20);
    Status = WaitAtMost(&Event, 200);
    DbgPrint("then %x after %u ms\n", Status, Now() - Before);
    Sleep(100);
    DbgPrint("slept until %u ms\n", Now() - Before);
    return STATUS_SUCCESS;
}

/* Two objects. */

static VOID NTAPI SetsSecond(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    KeSetEvent(&Second, 0, FALSE);
    Sleep(10);
    KeSetEvent(&Event, 0, FALSE);
}

static NTSTATUS WaitsForTwo(VOID)
{
    PVOID Objects[2] = {&Event, &Second};
    NTSTATUS Any, All;

    ExInitializeWorkItem(&WorkItem, SetsSecond, NULL);
    ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
    Any = KeWaitForMultipleObjects(2, Objects, WaitAny, Executive, KernelMode, FALSE, NULL, NULL);
    All = KeWaitForMultipleObjects(2, Objects, WaitAll, Executive, KernelMode, FALSE, NULL, NULL);
    DbgPrint("any %x all %x\n", Any, All);
    return STATUS_SUCCESS;
}

/* Waits in its callback for what another callback signals. */

static VOID CallbackSignalsCallback(HANDLE ThreadId, BOOLEAN Create)
{
    LONG Call = InterlockedIncrement(&Calls);

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    if (Call == 1)
        DbgPrint("first one waited %x\n", WaitFor(&Event));
    else if (Call == 2)
        KeSetEvent(&Event, 0, FALSE);
}

/* Wrong: waits for what nobody signals. */

static NTSTATUS EntryNeverSignalled(VOID)
{
    return WaitFor(&Event);
}

static VOID CallbackNeverSignalled(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (Create)
        WaitFor(&Event);
}

/* Wrong: waits in its callback for what goes on only when that has returned. */

static VOID WaitsForNewThread(HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread;

    if (Create && NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread))) {
        WaitFor(Thread);
        ObDereferenceObject(Thread);
    }
}

static VOID WaitsForItself(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    WaitFor(PsGetCurrentThread());
}

static VOID WaitsForOwnProcess(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    WaitFor(PsGetCurrentProcess());
}

/* Wrong: never ends, though each wait does. */

static NTSTATUS SleepsForEver(VOID)
{
    while (!Stop)
        Sleep(1000);
    return STATUS_SUCCESS;
}

static NTSTATUS SleepsForYears(VOID)
{
    Sleep(0x7FFFFFFF);
    return STATUS_SUCCESS;
}

static NTSTATUS TimesOutInYears(VOID)
{
    return WaitAtMost(&Event, 0x7FFFFFFF);
}

const DRIVER_CASE WaitCases[] = {
    {.Name = L"waits-for-work-item", .Entry = WaitsForWorkItem},
    {.Name = L"waits-for-timer", .Entry = WaitsForTimer, .Unload = UnloadWaitsForTimer},
    {.Name = L"times-out", .Entry = TimesOut},
    {.Name = L"waits-for-two", .Entry = WaitsForTwo},
    {.Name = L"sleeps-in-callback", .Callback = SleepsInCallback, .Unload = SaysHowManyOverlapped},
    {.Name = L"callback-signals-callback", .Callback = CallbackSignalsCallback},
    {.Name = L"entry-never-signalled", .Entry = EntryNeverSignalled},
    {.Name = L"callback-never-signalled", .Callback = CallbackNeverSignalled},
    {.Name = L"waits-for-new-thread", .Callback = WaitsForNewThread},
    {.Name = L"waits-for-itself", .Callback = WaitsForItself},
    {.Name = L"waits-for-own-process", .Callback = WaitsForOwnProcess},
    {.Name = L"sleeps-for-ever", .Entry = SleepsForEver},
    {.Name = L"sleeps-for-years", .Entry = SleepsForYears},
    {.Name = L"times-out-in-years", .Entry = TimesOutInYears},
    {.Name = NULL},
};
