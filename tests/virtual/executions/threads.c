/* System threads and worker threads. */
#include "driver_case.h"

static PETHREAD Thread;
static WORK_QUEUE_ITEM Many[64];

static VOID NTAPI WorkerThread(PVOID Context)
{
    DbgPrint("thread in %u at irql %u\n", HandleToULong(PsGetCurrentProcessId()), KeGetCurrentIrql());
    while (!Stop)
        WaitAtMost(Context, 10);
    Sleep(30);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StartsThread(VOID)
{
    NTSTATUS Status = StartThread(WorkerThread, &Thread);

    DbgPrint("started %x\n", Status);
    return Status;
}

static VOID EndsThread(VOID)
{
    ULONG Before = Now();
    NTSTATUS Status;

    Stop = 1;
    KeSetEvent(&Event, 0, FALSE);
    Status = WaitFor(Thread);
    DbgPrint("thread ended %x after %u ms\n", Status, Now() - Before);
    ObDereferenceObject(Thread);
}

/* Wrong: leaves its thread behind. */

static VOID LeavesThread(VOID)
{
    ObDereferenceObject(Thread);
}

/* Wrong: waits for a thread that waits for ever. */

static VOID NTAPI WaitsForEverThread(PVOID Context)
{
    WaitFor(Context);
}

static NTSTATUS StartsDeafThread(VOID)
{
    return StartThread(WaitsForEverThread, &Thread);
}

static VOID WaitsForDeafThread(VOID)
{
    WaitFor(Thread);
}

/* Queues its work item again and again until it is unloaded. */

static VOID NTAPI QueuesItself(PVOID Parameter)
{
    Sleep(20);
    if (Stop)
        KeSetEvent((PKEVENT)Parameter, 0, FALSE);
    else
        ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
}

static NTSTATUS QueuesWorkItems(VOID)
{
    ExInitializeWorkItem(&WorkItem, QueuesItself, &Event);
    ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
    return STATUS_SUCCESS;
}

static VOID StopsWorkItems(VOID)
{
    Stop = 1;
    WaitFor(&Event);
    Sleep(1);
}

/* Wrong: queues a work item that is queued. */

static NTSTATUS QueuesTwice(VOID)
{
    ULONG Index;

    for (Index = 0; Index < 64; Index++) {
        ExInitializeWorkItem(&Many[Index], QueuesItself, &Event);
        ExQueueWorkItem(&Many[Index], DelayedWorkQueue);
    }
    ExQueueWorkItem(&Many[63], DelayedWorkQueue);
    return STATUS_SUCCESS;
}

/* What happens while its unload sleeps is still reported. */

static VOID NTAPI EndingThread(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    Sleep(20);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID CountsEnds(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (!Create && PsGetCurrentProcessId() == (HANDLE)4)
        InterlockedIncrement(&Calls);
}

static VOID UnloadSleeps(VOID)
{
    ULONG Before = Now();

    StartThread(EndingThread, &Thread);
    ObDereferenceObject(Thread);
    Sleep(60);
    DbgPrint("slept %u ms, %d ended\n", Now() - Before, Calls);
}

/* Wrong: its thread ends in a critical region. */

static VOID NTAPI EndingInRegion(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeEnterCriticalRegion();
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS ThreadEndsInRegion(VOID)
{
    NTSTATUS Status = StartThread(EndingInRegion, &Thread);

    Sleep(10);
    return Status;
}

/* Says on which processors its callbacks came. */

static VOID SeesProcessor(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    InterlockedOr(&Stop, 1 << KeGetCurrentProcessorNumber());
}

static VOID SaysProcessors(VOID)
{
    DbgPrint("on %x of %u\n", Stop, KeQueryActiveProcessorCount(NULL));
}

/* Priorities are kept, and change nothing. */

static NTSTATUS SetsPriority(VOID)
{
    PKTHREAD Self = KeGetCurrentThread();
    KPRIORITY Before = KeQueryPriorityThread(Self), Old = KeSetPriorityThread(Self, LOW_REALTIME_PRIORITY);

    DbgPrint("was %d, old %d, is %d", Before, Old, KeQueryPriorityThread(Self));
    KeSetPriorityThread(Self, Old);
    DbgPrint(", again %d\n", KeQueryPriorityThread(Self));
    return STATUS_SUCCESS;
}

const DRIVER_CASE ThreadCases[] = {
    {.Name = L"ends-its-thread", .Entry = StartsThread, .Unload = EndsThread},
    {.Name = L"leaves-thread", .Entry = StartsThread, .Unload = LeavesThread},
    {.Name = L"waits-for-deaf-thread", .Entry = StartsDeafThread, .Unload = WaitsForDeafThread},
    {.Name = L"queues-work-items", .Entry = QueuesWorkItems, .Unload = StopsWorkItems},
    {.Name = L"sleeps-in-unload", .Callback = CountsEnds, .BeforeRemoval = UnloadSleeps},
    {.Name = L"thread-ends-in-region", .Entry = ThreadEndsInRegion},
    {.Name = L"sees-processors", .Callback = SeesProcessor, .Unload = SaysProcessors},
    {.Name = L"sets-priority", .Entry = SetsPriority},
    {.Name = L"queues-twice", .Entry = QueuesTwice},
    {.Name = NULL},
};
