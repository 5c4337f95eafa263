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
    {.Name = L"leaves-work-item", .Unload = LeavesWorkItem},
    {.Name = L"leaves-io-work-item", .Entry = MakesDevice, .Unload = LeavesIoWorkItem},
    {.Name = NULL},
};
