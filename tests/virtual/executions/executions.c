/*
 * Drivers that wait, in one image: the last part of the service's registry path chooses which. Each is right on
 * Windows unless its name says what is wrong with it. Tests: tests/virtual/kernel/test_executions.py.
 */
#include <ntddk.h>

/* Exported, and declared nowhere: what the push locks of ntifs.h come to. */
NTKERNELAPI VOID NTAPI ExfAcquirePushLockExclusive(ULONG_PTR *PushLock);
NTKERNELAPI VOID NTAPI ExfAcquirePushLockShared(ULONG_PTR *PushLock);
NTKERNELAPI VOID NTAPI ExfReleasePushLock(ULONG_PTR *PushLock);

#define MILLISECONDS(n) (-10000LL * (n))
#define TAG 'cexE'

typedef struct {
    PCWSTR Name;
    NTSTATUS (*Entry)(VOID);
    VOID (*Callback)(HANDLE ThreadId, BOOLEAN Create);
    VOID (*Unload)(VOID);
} DRIVER_CASE;

static const DRIVER_CASE *Case;
static PDEVICE_OBJECT Device;
static PDRIVER_OBJECT Driver;
static KEVENT Event, Second;
static KTIMER Timer;
static KDPC Dpc;
static KMUTEX Mutex;
static KSEMAPHORE Semaphore;
static FAST_MUTEX FastMutex, OtherFastMutex;
static KSPIN_LOCK SpinLock;
static WORK_QUEUE_ITEM WorkItem;
static PETHREAD Thread;
static volatile LONG Stop, Calls, Inside, MostInside;
static ULONG *Table;
static ERESOURCE Resource, OtherResource;
static ULONG_PTR PushLock;
static EX_RUNDOWN_REF Rundown;

static ULONG Now(VOID)
{
    return (ULONG)(KeQueryInterruptTime() / 10000);
}

static VOID Sleep(LONG Milliseconds)
{
    LARGE_INTEGER Interval = {.QuadPart = MILLISECONDS(Milliseconds)};

    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

static NTSTATUS WaitFor(PVOID Object)
{
    return KeWaitForSingleObject(Object, Executive, KernelMode, FALSE, NULL);
}

static NTSTATUS WaitAtMost(PVOID Object, LONG Milliseconds)
{
    LARGE_INTEGER Timeout = {.QuadPart = MILLISECONDS(Milliseconds)};

    return KeWaitForSingleObject(Object, Executive, KernelMode, FALSE, &Timeout);
}

static VOID NTAPI SetsEvent(PVOID Parameter)
{
    DbgPrint("work item in %u at irql %u\n", HandleToULong(PsGetCurrentProcessId()), KeGetCurrentIrql());
    Sleep(20);
    KeSetEvent((PKEVENT)Parameter, 0, FALSE);
}

static VOID NTAPI DpcSetsEvent(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Last);
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

static VOID StartTimer(LONG Milliseconds)
{
    LARGE_INTEGER Due = {.QuadPart = MILLISECONDS(Milliseconds)};

    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, DpcSetsEvent, &Event);
    KeSetTimer(&Timer, Due, &Dpc);
}

static NTSTATUS StartThread(PKSTART_ROUTINE Routine)
{
    HANDLE Handle;
    NTSTATUS Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Routine, &Event);

    if (NT_SUCCESS(Status)) {
        Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Thread, NULL);
        ZwClose(Handle);
    }
    return Status;
}

/* Waits for a work item. */

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

/* Threads. */

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
    NTSTATUS Status = StartThread(WorkerThread);

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

static VOID LeavesThread(VOID)
{
    ObDereferenceObject(Thread);
}

static VOID NTAPI WaitsForEverThread(PVOID Context)
{
    WaitFor(Context);
}

static NTSTATUS StartsDeafThread(VOID)
{
    return StartThread(WaitsForEverThread);
}

static VOID WaitsForDeafThread(VOID)
{
    WaitFor(Thread);
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

/* Callbacks that sleep overlap; one lock lets one in at a time. */

static VOID SleepsInCallback(HANDLE ThreadId, BOOLEAN Create)
{
    LONG Now = InterlockedIncrement(&Inside);

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    if (Now > MostInside)
        MostInside = Now;
    Sleep(200);
    InterlockedDecrement(&Inside);
}

static VOID SaysHowManyOverlapped(VOID)
{
    DbgPrint("at most %u inside, %u now\n", MostInside, Inside);
}

static VOID SharesMutex(HANDLE ThreadId, BOOLEAN Create)
{
    WaitFor(&Mutex);
    WaitFor(&Mutex);
    SleepsInCallback(ThreadId, Create);
    KeReleaseMutex(&Mutex, FALSE);
    KeReleaseMutex(&Mutex, FALSE);
}

static VOID SharesFastMutex(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireFastMutex(&FastMutex);
    SleepsInCallback(ThreadId, Create);
    ExReleaseFastMutex(&FastMutex);
}

static VOID SharesSemaphore(HANDLE ThreadId, BOOLEAN Create)
{
    WaitFor(&Semaphore);
    SleepsInCallback(ThreadId, Create);
    KeReleaseSemaphore(&Semaphore, 0, 1, FALSE);
}

static VOID SharesSpinLock(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    InterlockedIncrement(&Inside);
    if (Inside > MostInside)
        MostInside = Inside;
    KeStallExecutionProcessor(100000);
    InterlockedDecrement(&Inside);
    KeReleaseSpinLock(&SpinLock, Old);
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

/* Wrong: waits at DISPATCH_LEVEL. */

static VOID MutexAtDispatch(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    WaitFor(&Mutex);
    KeReleaseMutex(&Mutex, FALSE);
    KeReleaseSpinLock(&SpinLock, Old);
}

static VOID FastMutexAtDispatch(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    ExAcquireFastMutex(&FastMutex);
    ExReleaseFastMutex(&FastMutex);
    KeReleaseSpinLock(&SpinLock, Old);
}

/* Wrong: takes two locks in either order. */

static VOID TakesInEitherOrder(HANDLE ThreadId, BOOLEAN Create)
{
    BOOLEAN Odd = InterlockedIncrement(&Calls) & 1;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(Odd ? &FastMutex : &OtherFastMutex);
    ExAcquireFastMutex(Odd ? &OtherFastMutex : &FastMutex);
    ExReleaseFastMutex(Odd ? &OtherFastMutex : &FastMutex);
    ExReleaseFastMutex(Odd ? &FastMutex : &OtherFastMutex);
}

static VOID TakesInOneOrder(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&FastMutex);
    ExAcquireFastMutex(&OtherFastMutex);
    Sleep(20);
    ExReleaseFastMutex(&OtherFastMutex);
    ExReleaseFastMutex(&FastMutex);
}

/* Wrong: takes a lock twice. */

static VOID TakesTwice(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&FastMutex);
    ExAcquireFastMutex(&FastMutex);
}

/* Frees last (right) or first (wrong) what its callback counts in. */

static NTSTATUS AllocatesTable(VOID)
{
    Table = ExAllocatePoolWithTag(NonPagedPool, 256 * sizeof(ULONG), TAG);
    if (Table == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(Table, 256 * sizeof(ULONG));
    return STATUS_SUCCESS;
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
    ExFreePoolWithTag(Table, TAG);
    Sleep(3000);
}

/* Leaves a DPC, a work item or a timer behind. */

static VOID NTAPI DpcSays(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("dpc %p %p on %u at irql %u\n", First, Last, KeGetCurrentProcessorNumber(), KeGetCurrentIrql());
}

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
}

/* DPCs: at once below DISPATCH_LEVEL, else when the IRQL is lowered; and on another processor. */

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

/* Waits in its callback for what another processor's callback signals. */

static VOID CallbackSignalsCallback(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    if (InterlockedIncrement(&Calls) == 1)
        DbgPrint("first one waited %x\n", WaitFor(&Event));
    else if (Calls == 2)
        KeSetEvent(&Event, 0, FALSE);
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

/* Locks with shared owners. */

static VOID SharesResource(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExAcquireResourceSharedLite(&Resource, TRUE);
    SleepsInCallback(ThreadId, Create);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
}

static VOID ReadsResource(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireResourceSharedLite(&Resource, TRUE);
    SleepsInCallback(ThreadId, Create);
    ExReleaseResourceLite(&Resource);
}

static VOID ReleasesTwice(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireResourceSharedLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
}

static NTSTATUS TakesResourceWithApcs(VOID)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    return STATUS_SUCCESS;
}

static VOID SharesPushLock(HANDLE ThreadId, BOOLEAN Create)
{
    ExfAcquirePushLockExclusive(&PushLock);
    SleepsInCallback(ThreadId, Create);
    ExfReleasePushLock(&PushLock);
}

static VOID ReadsUnderPushLock(HANDLE ThreadId, BOOLEAN Create)
{
    ExfAcquirePushLockShared(&PushLock);
    SleepsInCallback(ThreadId, Create);
    ExfReleasePushLock(&PushLock);
}

static VOID IsRunDown(HANDLE ThreadId, BOOLEAN Create)
{
    if (!ExAcquireRundownProtection(&Rundown))
        return;
    SleepsInCallback(ThreadId, Create);
    ExReleaseRundownProtection(&Rundown);
}

static VOID RunsDown(VOID)
{
    ExWaitForRundownProtectionRelease(&Rundown);
    DbgPrint("run down, %u inside, again %u\n", Inside, ExAcquireRundownProtection(&Rundown));
}

/* Wrong: two that wait for each other, for certain. */

static VOID WaitsInACircle(HANDLE ThreadId, BOOLEAN Create)
{
    BOOLEAN Odd = InterlockedIncrement(&Calls) & 1;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireResourceExclusiveLite(Odd ? &Resource : &OtherResource, TRUE);
    Sleep(2000);
    ExAcquireResourceExclusiveLite(Odd ? &OtherResource : &Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&OtherResource);
}

/* Prints through bad pointers, and what the filter hides. */

static NTSTATUS PrintsBadPointers(VOID)
{
    KIRQL Old;

    DbgPrint("returned %x\n", DbgPrint("a <%s>\n", (PCSTR)(ULONG_PTR)0x10));
    DbgPrint("returned %x\n", DbgPrint("a <%wZ>\n", (PUNICODE_STRING)(ULONG_PTR)0x38));
    KeAcquireSpinLock(&SpinLock, &Old);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "hidden %wZ\n", &Driver->DriverName);
    KeReleaseSpinLock(&SpinLock, Old);
    return STATUS_SUCCESS;
}

/* Wrong: prints a wide string from a thread callback, which may come at APC_LEVEL. */

static VOID PrintsWide(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    DbgPrint("%wZ at irql %u\n", &Driver->DriverName, KeGetCurrentIrql());
}

static VOID PrintsNarrow(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (!Create && KeGetCurrentIrql() != PASSIVE_LEVEL)
        MostInside = KeGetCurrentIrql();
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

static const DRIVER_CASE Cases[] = {
    {L"waits-for-work-item", WaitsForWorkItem, NULL, NULL},
    {L"waits-for-timer", WaitsForTimer, NULL, UnloadWaitsForTimer},
    {L"times-out", TimesOut, NULL, NULL},
    {L"ends-its-thread", StartsThread, NULL, EndsThread},
    {L"leaves-thread", StartsThread, NULL, LeavesThread},
    {L"waits-for-deaf-thread", StartsDeafThread, NULL, WaitsForDeafThread},
    {L"waits-for-two", WaitsForTwo, NULL, NULL},
    {L"sleeps-in-callback", NULL, SleepsInCallback, SaysHowManyOverlapped},
    {L"shares-mutex", NULL, SharesMutex, SaysHowManyOverlapped},
    {L"shares-fast-mutex", NULL, SharesFastMutex, SaysHowManyOverlapped},
    {L"shares-semaphore", NULL, SharesSemaphore, SaysHowManyOverlapped},
    {L"shares-spin-lock", NULL, SharesSpinLock, SaysHowManyOverlapped},
    {L"entry-never-signalled", EntryNeverSignalled, NULL, NULL},
    {L"callback-never-signalled", NULL, CallbackNeverSignalled, NULL},
    {L"callback-signals-callback", NULL, CallbackSignalsCallback, NULL},
    {L"mutex-at-dispatch", NULL, MutexAtDispatch, NULL},
    {L"fast-mutex-at-dispatch", NULL, FastMutexAtDispatch, NULL},
    {L"takes-in-either-order", NULL, TakesInEitherOrder, NULL},
    {L"takes-in-one-order", NULL, TakesInOneOrder, NULL},
    {L"takes-twice", NULL, TakesTwice, NULL},
    {L"frees-first", AllocatesTable, Counts, FreesFirst},
    {L"frees-last", AllocatesTable, SleepsAndCounts, NULL},
    {L"leaves-timer", NULL, NULL, LeavesTimer},
    {L"leaves-work-item", NULL, NULL, LeavesWorkItem},
    {L"leaves-io-work-item", MakesDevice, NULL, LeavesIoWorkItem},
    {L"queues-dpcs", QueuesDpcs, NULL, NULL},
    {L"shares-resource", NULL, SharesResource, SaysHowManyOverlapped},
    {L"reads-resource", NULL, ReadsResource, SaysHowManyOverlapped},
    {L"releases-twice", NULL, ReleasesTwice, NULL},
    {L"takes-resource-with-apcs", TakesResourceWithApcs, NULL, NULL},
    {L"shares-push-lock", NULL, SharesPushLock, SaysHowManyOverlapped},
    {L"reads-under-push-lock", NULL, ReadsUnderPushLock, SaysHowManyOverlapped},
    {L"runs-down", NULL, IsRunDown, RunsDown},
    {L"waits-in-a-circle", NULL, WaitsInACircle, NULL},
    {L"prints-bad-pointers", PrintsBadPointers, NULL, NULL},
    {L"prints-wide", NULL, PrintsWide, NULL},
    {L"sees-the-irql", NULL, PrintsNarrow, SaysHowManyOverlapped},
    {L"sleeps-for-ever", SleepsForEver, NULL, NULL},
    {L"sleeps-for-years", SleepsForYears, NULL, NULL},
    {L"times-out-in-years", TimesOutInYears, NULL, NULL},
    {L"queues-dpcs-for-ever", QueuesDpcsForEver, NULL, NULL},
    {L"queues-work-items", QueuesWorkItems, NULL, StopsWorkItems},
    {L"spins-on-ticks", SpinsOnTicks, NULL, NULL},
    {L"spins-for-ever", SpinsForEver, NULL, NULL},
};

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    Case->Callback(ThreadId, Create);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Case->Entry == AllocatesTable && Case->Unload == NULL) {
        PsRemoveCreateThreadNotifyRoutine(OnThread);
        ExFreePoolWithTag(Table, TAG);
        DbgPrint("unloaded\n");
        return;
    }
    if (Case->Callback != NULL && Case->Unload != FreesFirst)
        PsRemoveCreateThreadNotifyRoutine(OnThread);
    if (Case->Unload != NULL)
        Case->Unload();
    if (Case->Callback != NULL && Case->Unload == FreesFirst)
        PsRemoveCreateThreadNotifyRoutine(OnThread);
    if (Device != NULL)
        IoDeleteDevice(Device);
    DbgPrint("unloaded\n");
}

static BOOLEAN EndsWith(PCUNICODE_STRING Path, PCWSTR Name)
{
    UNICODE_STRING Wanted, Tail;

    RtlInitUnicodeString(&Wanted, Name);
    if (Path->Length <= Wanted.Length)
        return FALSE;
    Tail.Length = Tail.MaximumLength = Wanted.Length;
    Tail.Buffer = Path->Buffer + (Path->Length - Wanted.Length) / sizeof(WCHAR);
    return Tail.Buffer[-1] == L'\\' && RtlEqualUnicodeString(&Tail, &Wanted, TRUE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Cases); Index++)
        if (EndsWith(RegistryPath, Cases[Index].Name))
            Case = &Cases[Index];
    if (Case == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    Driver = DriverObject;
    DriverObject->DriverUnload = Unload;
    KeInitializeEvent(&Event, SynchronizationEvent, FALSE);
    KeInitializeEvent(&Second, NotificationEvent, FALSE);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeSemaphore(&Semaphore, 2, 2);
    ExInitializeFastMutex(&FastMutex);
    ExInitializeFastMutex(&OtherFastMutex);
    KeInitializeSpinLock(&SpinLock);
    ExInitializeResourceLite(&Resource);
    ExInitializeResourceLite(&OtherResource);
    ExInitializeRundownProtection(&Rundown);
    Status = Case->Entry != NULL ? Case->Entry() : STATUS_SUCCESS;
    if (NT_SUCCESS(Status) && Case->Callback != NULL)
        Status = PsSetCreateThreadNotifyRoutine(OnThread);
    return Status;
}
