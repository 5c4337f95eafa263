/* Remove locks: the unload waits for who is at work. */
#include "driver_case.h"

static IO_REMOVE_LOCK RemoveLock;

static NTSTATUS MakesRemoveLock(VOID)
{
    IoInitializeRemoveLock(&RemoveLock, TAG, 0, 0);
    return STATUS_SUCCESS;
}

static VOID WorksUnderRemoveLock(HANDLE ThreadId, BOOLEAN Create)
{
    if (!NT_SUCCESS(IoAcquireRemoveLock(&RemoveLock, ThreadId)))
        return;
    SleepsInCallback(ThreadId, Create);
    IoReleaseRemoveLock(&RemoveLock, ThreadId);
}

static VOID WaitsForRemoveLock(VOID)
{
    NTSTATUS First = IoAcquireRemoveLock(&RemoveLock, Driver);

    IoReleaseRemoveLockAndWait(&RemoveLock, Driver);
    DbgPrint("acquired %x, drained, %u inside, again %x\n", First, Inside, IoAcquireRemoveLock(&RemoveLock, Driver));
}

/* A work item that is at work when the unload begins. */

static VOID NTAPI WorksLong(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    Sleep(100);
    Stop = 1;
    IoReleaseRemoveLock(&RemoveLock, &WorkItem);
    KeSetEvent(&Event, 0, FALSE);
}

static VOID DrainsWorkItem(VOID)
{
    ULONG Before = Now();

    IoAcquireRemoveLock(&RemoveLock, &WorkItem);
    ExInitializeWorkItem(&WorkItem, WorksLong, NULL);
    ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
    IoAcquireRemoveLock(&RemoveLock, Driver);
    IoReleaseRemoveLockAndWait(&RemoveLock, Driver);
    DbgPrint("drained %u after %u ms\n", Stop, Now() - Before);
    WaitFor(&Event);
    Sleep(1);
}

/* Wrong: one acquisition is never released. */

static VOID WaitsForKeptRemoveLock(VOID)
{
    IoAcquireRemoveLock(&RemoveLock, &Event);
    WaitsForRemoveLock();
}

const DRIVER_CASE RemoveLockCases[] = {
    {.Name = L"drains-remove-lock", .Entry = MakesRemoveLock, .Callback = WorksUnderRemoveLock,
     .BeforeRemoval = WaitsForRemoveLock},
    {.Name = L"drains-work-item", .Entry = MakesRemoveLock, .Unload = DrainsWorkItem},
    {.Name = L"keeps-remove-lock", .Entry = MakesRemoveLock, .Unload = WaitsForKeptRemoveLock},
    {.Name = NULL},
};
