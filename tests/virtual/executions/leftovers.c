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

/* A work item in memory of the driver's own; wrong: taken back while it is queued. */

static PIO_WORKITEM OwnItem;

static VOID NTAPI SetsEvent(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

static VOID UsesOwnItem(VOID)
{
    OwnItem = ExAllocatePoolWithTag(NonPagedPoolNx, IoSizeofWorkItem(), TAG);
    IoInitializeWorkItem(Device, OwnItem);
    IoQueueWorkItem(OwnItem, SetsEvent, DelayedWorkQueue, &Event);
    DbgPrint("waited %x\n", WaitFor(&Event));
    IoUninitializeWorkItem(OwnItem);
    ExFreePoolWithTag(OwnItem, TAG);
    IoDeleteDevice(Device);
}

static VOID TakesOwnItemBack(VOID)
{
    OwnItem = ExAllocatePoolWithTag(NonPagedPoolNx, IoSizeofWorkItem(), TAG);
    IoInitializeWorkItem(Device, OwnItem);
    IoQueueWorkItem(OwnItem, SetsEvent, DelayedWorkQueue, &Event);
    IoUninitializeWorkItem(OwnItem);
}

/* Callbacks for a bugcheck; wrong: one that stays. */

static KBUGCHECK_CALLBACK_RECORD Record;
static KBUGCHECK_REASON_CALLBACK_RECORD ReasonRecord;

static VOID NTAPI OnBugcheck(PVOID Buffer, ULONG Length)
{
    UNREFERENCED_PARAMETER(Buffer);
    UNREFERENCED_PARAMETER(Length);
}

static VOID NTAPI OnReason(KBUGCHECK_CALLBACK_REASON Reason, PKBUGCHECK_REASON_CALLBACK_RECORD Self, PVOID Data, ULONG Length)
{
    UNREFERENCED_PARAMETER(Reason);
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Length);
}

static NTSTATUS RegistersForBugcheck(VOID)
{
    BOOLEAN First, Again, Reason;

    KeInitializeCallbackRecord(&Record);
    KeInitializeCallbackRecord(&ReasonRecord);
    First = KeRegisterBugCheckCallback(&Record, OnBugcheck, NULL, 0, (PUCHAR)"case");
    Again = KeRegisterBugCheckCallback(&Record, OnBugcheck, NULL, 0, (PUCHAR)"case");
    Reason = KeRegisterBugCheckReasonCallback(&ReasonRecord, OnReason, KbCallbackDumpIo, (PUCHAR)"case");
    DbgPrint("registered %u %u %u\n", First, Again, Reason);
    return STATUS_SUCCESS;
}

static VOID DeregistersForBugcheck(VOID)
{
    BOOLEAN First = KeDeregisterBugCheckCallback(&Record), Again = KeDeregisterBugCheckCallback(&Record);

    DbgPrint("removed %u %u %u\n", First, Again, KeDeregisterBugCheckReasonCallback(&ReasonRecord));
}

static VOID ForgetsBugcheckCallback(VOID)
{
    KeDeregisterBugCheckReasonCallback(&ReasonRecord);
}

const DRIVER_CASE LeftoverCases[] = {
    {.Name = L"uses-own-work-item", .Entry = MakesDevice, .Unload = UsesOwnItem},
    {.Name = L"takes-own-work-item-back", .Entry = MakesDevice, .Unload = TakesOwnItemBack},
    {.Name = L"registers-for-bugcheck", .Entry = RegistersForBugcheck, .Unload = DeregistersForBugcheck},
    {.Name = L"forgets-bugcheck-callback", .Entry = RegistersForBugcheck, .Unload = ForgetsBugcheckCallback},
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
