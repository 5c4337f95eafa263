/* DPCs and timers. */
#include "driver_case.h"

/* DPCs: at once below DISPATCH_LEVEL, else when the IRQL is lowered; and on another processor. */

static VOID NTAPI DpcSays(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("dpc %p %p on %u at irql %u\n", First, Last, KeGetCurrentProcessorNumber(), KeGetCurrentIrql());
}

static NTSTATUS QueuesDpcs(VOID)
{
    KIRQL Old;
    ULONG Other = 1 - KeGetCurrentProcessorNumber();

    KeInitializeDpc(&Dpc, DpcSays, NULL);
    KeInsertQueueDpc(&Dpc, (PVOID)1, NULL);
    DbgPrint("queued at passive\n");
    KeAcquireSpinLock(&SpinLock, &Old);
    KeInsertQueueDpc(&Dpc, (PVOID)2, NULL);
    DbgPrint("queued at dispatch\n");
    KeReleaseSpinLock(&SpinLock, Old);
    DbgPrint("lowered\n");
    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    KeInsertQueueDpc(&Dpc, (PVOID)3, NULL);
    DbgPrint("queued, again %u\n", KeInsertQueueDpc(&Dpc, (PVOID)3, NULL));
    KeLowerIrql(Old);
    DbgPrint("lowered\n");
    KeSetTargetProcessorDpc(&Dpc, (CCHAR)Other);
    KeInsertQueueDpc(&Dpc, (PVOID)4, (PVOID)(ULONG_PTR)Other);
    Sleep(1);
    return STATUS_SUCCESS;
}

/* Spins until a DPC has come often enough; wrong: more often than anybody waits for. */

static VOID NTAPI DpcTicks(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Last);
    Calls++;
}

static NTSTATUS SpinsUntil(LONG Ticks)
{
    LARGE_INTEGER Due = {.QuadPart = MILLISECONDS(1)};

    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, DpcTicks, NULL);
    KeSetTimerEx(&Timer, Due, 1, &Dpc);
    while (Calls < Ticks)
        YieldProcessor();
    DbgPrint("saw %u ticks\n", Calls);
    KeCancelTimer(&Timer);
    return STATUS_SUCCESS;
}

static NTSTATUS SpinsOnTicks(VOID)
{
    return SpinsUntil(3);
}

static NTSTATUS SpinsForEver(VOID)
{
    return SpinsUntil(MAXLONG);
}

/* Wrong: a DPC that queues itself. */

static VOID NTAPI DpcQueuesItself(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Last);
    KeInsertQueueDpc(Self, NULL, NULL);
}

static NTSTATUS QueuesDpcsForEver(VOID)
{
    KeInitializeDpc(&Dpc, DpcQueuesItself, NULL);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    return STATUS_SUCCESS;
}

const DRIVER_CASE DeferredCases[] = {
    {.Name = L"queues-dpcs", .Entry = QueuesDpcs},
    {.Name = L"spins-on-ticks", .Entry = SpinsOnTicks},
    {.Name = L"spins-for-ever", .Entry = SpinsForEver},
    {.Name = L"queues-dpcs-for-ever", .Entry = QueuesDpcsForEver},
    {.Name = NULL},
};
