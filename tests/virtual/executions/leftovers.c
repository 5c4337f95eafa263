/* What an unload frees and leaves behind. */
#include "driver_case.h"

static ULONG *Table;
static PDEVICE_OBJECT Device;

/* Frees last (right) or first (wrong) what its callback counts in. */

static NTSTATUS AllocatesTable(VOID)
{
    Table = ExAllocatePoolWithTag(NonPagedPool, 256 * sizeof(ULONG), TAG);
    if (Table == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(Table, 256 * sizeof(ULONG));
    return STATUS_SUCCESS;
}

static VOID FreesTable(VOID)
{
    ExFreePoolWithTag(Table, TAG);
}

static VOID Counts(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Create);
    Table[HandleToULong(ThreadId) & 255]++;
}

static VOID SleepsAndCounts(HANDLE ThreadId, BOOLEAN Create)
{
    SleepsInCallback(ThreadId, Create);
    Counts(ThreadId, Create);
}

static VOID FreesFirst(VOID)
{
    FreesTable();
    Sleep(3000);
}

/* Wrong: leaves a timer or a work item behind. */

static VOID LeavesTimer(VOID)
{
    StartTimer(50);
}

static VOID NTAPI SleepsLong(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    Sleep(500);
    DbgPrint("work item done\n");
}

static VOID LeavesWorkItem(VOID)
{
    ExInitializeWorkItem(&WorkItem, SleepsLong, NULL);
    ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
}

/* Wrong: leaves a DPC behind, on its way to another processor. */

static VOID LeavesDpc(VOID)
{
    KeInitializeDpc(&Dpc, DpcSetsEvent, &Event);
    KeSetTargetProcessorDpc(&Dpc, (CCHAR)(1 - KeGetCurrentProcessorNumber()));
    KeInsertQueueDpc(&Dpc, NULL, NULL);
}

/* Frees what still holds a timer, a DPC or a work item; right if it is cancelled before. */

typedef struct {
    KTIMER Timer;
    KDPC Dpc;
    WORK_QUEUE_ITEM Item;
} PENDING;

static PENDING *Pending;

static NTSTATUS AllocatesPending(VOID)
{
    Pending = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Pending), TAG);
    if (Pending == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeTimer(&Pending->Timer);
    KeInitializeDpc(&Pending->Dpc, DpcSetsEvent, &Event);
    return STATUS_SUCCESS;
}

static VOID SetsTimer(PKDPC Deferred)
{
    LARGE_INTEGER Due = {.QuadPart = MILLISECONDS(20)};

    KeSetTimer(&Pending->Timer, Due, Deferred);
}

static VOID FreesTimer(VOID)
{
    SetsTimer(NULL);
    ExFreePoolWithTag(Pending, TAG);
    Sleep(50);
}

static VOID FreesDpc(VOID)
{
    KIRQL Old;

    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    KeInsertQueueDpc(&Pending->Dpc, NULL, NULL);
    ExFreePoolWithTag(Pending, TAG);
    KeLowerIrql(Old);
}

static VOID FreesWorkItem(VOID)
{
    static WORK_QUEUE_ITEM Others[64];
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Others); Index++) {
        ExInitializeWorkItem(&Others[Index], SleepsLong, NULL);
        ExQueueWorkItem(&Others[Index], DelayedWorkQueue);
    }
    ExInitializeWorkItem(&Pending->Item, SleepsLong, NULL);
    ExQueueWorkItem(&Pending->Item, DelayedWorkQueue);
    ExFreePoolWithTag(Pending, TAG);
    Sleep(5000);
}

static VOID CancelsBeforeFreeing(VOID)
{
    SetsTimer(&Pending->Dpc);
    DbgPrint("cancelled %u", KeCancelTimer(&Pending->Timer));
    SetsTimer(&Pending->Dpc);
    WaitFor(&Event);
    DbgPrint(" %u\n", KeCancelTimer(&Pending->Timer));
    ExFreePoolWithTag(Pending, TAG);
}

/* An I/O work item keeps the driver loaded. */

static VOID NTAPI IoWorker(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    SleepsLong(NULL);
    IoFreeWorkItem((PIO_WORKITEM)Context);
}

static NTSTATUS MakesDevice(VOID)
{
    return IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}

static VOID LeavesIoWorkItem(VOID)
{
    PIO_WORKITEM Item = IoAllocateWorkItem(Device);

    IoQueueWorkItem(Item, IoWorker, DelayedWorkQueue, Item);
    IoDeleteDevice(Device);
}

const DRIVER_CASE LeftoverCases[] = {
    {.Name = L"frees-first", .Entry = AllocatesTable, .Callback = Counts, .BeforeRemoval = FreesFirst},
    {.Name = L"frees-last", .Entry = AllocatesTable, .Callback = SleepsAndCounts, .Unload = FreesTable},
    {.Name = L"leaves-timer", .Unload = LeavesTimer},
    {.Name = L"leaves-dpc", .Unload = LeavesDpc},
    {.Name = L"frees-timer", .Entry = AllocatesPending, .Unload = FreesTimer},
    {.Name = L"frees-dpc", .Entry = AllocatesPending, .Unload = FreesDpc},
    {.Name = L"frees-work-item", .Entry = AllocatesPending, .Unload = FreesWorkItem},
    {.Name = L"cancels-before-freeing", .Entry = AllocatesPending, .Unload = CancelsBeforeFreeing},
    {.Name = L"leaves-work-item", .Unload = LeavesWorkItem},
    {.Name = L"leaves-io-work-item", .Entry = MakesDevice, .Unload = LeavesIoWorkItem},
    {.Name = NULL},
};
