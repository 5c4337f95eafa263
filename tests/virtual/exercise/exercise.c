/* Calls the exports that notify drivers use besides the callbacks, and prints what came of it. */
#include <ntddk.h>

#define TAG 'xerE'

NTSYSAPI INT __cdecl _snprintf(PCHAR Buffer, SIZE_T Count, PCSTR Format, ...);

static FAST_MUTEX Mutex;
static KEVENT Event;
static KMUTEX KernelMutex;
static KTIMER Timer;
static KDPC Dpc;
static NPAGED_LOOKASIDE_LIST Lookaside;
static PIO_WORKITEM WorkItem;
static PDEVICE_OBJECT Device;
static SLIST_HEADER Stack;
static LIST_ENTRY List;
static KSPIN_LOCK Lock;

static VOID NTAPI OnTimer(PKDPC Self, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    DbgPrint("timer %p irql=%u\n", Context, (ULONG)KeGetCurrentIrql());
}

static VOID NTAPI OnWork(PDEVICE_OBJECT Object, PVOID Context)
{
    DbgPrint("work %u %p in %u irql=%u\n", Object == Device, Context, HandleToULong(PsGetCurrentProcessId()),
        (ULONG)KeGetCurrentIrql());
}

/* An address in initialised data: the image gets a relocation section, which is discardable. */
static PIO_WORKITEM_ROUTINE volatile WorkRoutine = OnWork;

static VOID Synchronisation(VOID)
{
    LARGE_INTEGER Now = {.QuadPart = 0};
    NTSTATUS First, Second;

    ExInitializeFastMutex(&Mutex);
    ExAcquireFastMutex(&Mutex);
    DbgPrint("mutex irql=%u try=%u\n", (ULONG)KeGetCurrentIrql(), ExTryToAcquireFastMutex(&Mutex));
    ExReleaseFastMutex(&Mutex);
    KeInitializeEvent(&Event, SynchronizationEvent, TRUE);
    First = KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    Second = KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, &Now);
    DbgPrint("event %x %x set=%d state=%d irql=%u\n", First, Second, KeSetEvent(&Event, 0, FALSE),
        KeReadStateEvent(&Event), (ULONG)KeGetCurrentIrql());
    KeInitializeMutex(&KernelMutex, 0);
    First = KeWaitForSingleObject(&KernelMutex, Executive, KernelMode, FALSE, NULL);
    Second = KeWaitForSingleObject(&KernelMutex, Executive, KernelMode, FALSE, NULL);
    DbgPrint("recursive %x %x", First, Second);
    DbgPrint(" %d", KeReleaseMutex(&KernelMutex, FALSE));
    DbgPrint(" %d\n", KeReleaseMutex(&KernelMutex, FALSE));
}

static VOID Lists(VOID)
{
    SLIST_ENTRY Pushed[2];
    LIST_ENTRY Entries[2];
    PVOID Block;

    ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 48, TAG, 0);
    Block = ExAllocateFromNPagedLookasideList(&Lookaside);
    DbgPrint("lookaside %u\n", Block != NULL);
    ExFreeToNPagedLookasideList(&Lookaside, Block);
    ExDeleteNPagedLookasideList(&Lookaside);
    InitializeSListHead(&Stack);
    InterlockedPushEntrySList(&Stack, &Pushed[0]);
    InterlockedPushEntrySList(&Stack, &Pushed[1]);
    DbgPrint("depth %u top=%u", ExQueryDepthSList(&Stack), InterlockedPopEntrySList(&Stack) == &Pushed[1]);
    DbgPrint(" next=%u", InterlockedPopEntrySList(&Stack) == &Pushed[0]);
    DbgPrint(" empty=%u\n", InterlockedPopEntrySList(&Stack) == NULL);
    InitializeListHead(&List);
    ExInterlockedInsertTailList(&List, &Entries[0], &Lock);
    ExInterlockedInsertHeadList(&List, &Entries[1], &Lock);
    DbgPrint("head=%u", ExInterlockedRemoveHeadList(&List, &Lock) == &Entries[1]);
    DbgPrint(" then=%u", ExInterlockedRemoveHeadList(&List, &Lock) == &Entries[0]);
    DbgPrint(" none=%u\n", ExInterlockedRemoveHeadList(&List, &Lock) == NULL);
}

static VOID Strings(VOID)
{
    UNICODE_STRING Name, Copy;
    ANSI_STRING Ansi;
    WCHAR Buffer[12];
    CHAR Text[8];
    ULONG Value = 0;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, L"\\Device\\caf\x00e9");
    Status = RtlUnicodeStringToAnsiString(&Ansi, &Name, TRUE);
    DbgPrint("ansi %x %Z %u\n", Status, &Ansi, Ansi.Length);
    Status = RtlAnsiStringToUnicodeString(&Copy, &Ansi, TRUE);
    DbgPrint("wide %x equal=%u\n", Status, RtlEqualUnicodeString(&Name, &Copy, FALSE));
    RtlFreeUnicodeString(&Copy);
    RtlFreeAnsiString(&Ansi);
    Copy.Buffer = Buffer;
    Copy.Length = 0;
    Copy.MaximumLength = sizeof(Buffer);
    DbgPrint("append %x", RtlAppendUnicodeToString(&Copy, L"0x1F"));
    DbgPrint(" %x", RtlAppendUnicodeStringToString(&Copy, &Name));
    Status = RtlUnicodeStringToInteger(&Copy, 0, &Value);
    DbgPrint(" %wZ %x %u\n", &Copy, Status, Value);
    Status = RtlIntegerToUnicodeString(255, 16, &Copy);
    DbgPrint("integer %x %wZ compare=%d\n", Status, &Copy, RtlCompareUnicodeString(&Copy, &Name, TRUE));
    Value = _snprintf(Text, sizeof(Text), "%s-%d", "abcdefgh", 7);
    DbgPrint("snprintf %d %.8s", Value, Text);
    Value = _snprintf(Text, sizeof(Text), "%s-%d", "abc", 7);
    DbgPrint(" %d %s\n", Value, Text);
}

static VOID Time(VOID)
{
    LARGE_INTEGER Frequency, Now, Due = {.QuadPart = -50000};
    TIME_FIELDS Fields;

    Now = KeQueryPerformanceCounter(&Frequency);
    DbgPrint("qpc %I64d at %I64d\n", Now.QuadPart, Frequency.QuadPart);
    KeQuerySystemTime(&Now);
    RtlTimeToTimeFields(&Now, &Fields);
    DbgPrint("date %u-%02u-%02u %02u:%02u:%02u.%03u day %u\n", (ULONG)Fields.Year, (ULONG)Fields.Month,
        (ULONG)Fields.Day, (ULONG)Fields.Hour, (ULONG)Fields.Minute, (ULONG)Fields.Second,
        (ULONG)Fields.Milliseconds, (ULONG)Fields.Weekday);
    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, OnTimer, (PVOID)9);
    DbgPrint("was set %u", KeSetTimer(&Timer, Due, &Dpc));
    DbgPrint(" %u\n", KeSetTimer(&Timer, Due, &Dpc));
}

static VOID Devices(PDRIVER_OBJECT Driver)
{
    UNICODE_STRING Name, Link;
    PDEVICE_OBJECT Other;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, L"\\Device\\Exercise");
    RtlInitUnicodeString(&Link, L"\\??\\Exercise");
    Status = IoCreateDevice(Driver, 16, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    DbgPrint("device %x listed=%u extension=%u", Status, Driver->DeviceObject == Device,
        Device->DeviceExtension != NULL);
    DbgPrint(" again %x", IoCreateDevice(Driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Other));
    DbgPrint(" link %x", IoCreateSymbolicLink(&Link, &Name));
    DbgPrint(" again %x\n", IoCreateSymbolicLink(&Link, &Name));
    WorkItem = IoAllocateWorkItem(Device);
    IoQueueWorkItem(WorkItem, WorkRoutine, DelayedWorkQueue, (PVOID)5);
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNICODE_STRING Link;

    RtlInitUnicodeString(&Link, L"\\??\\Exercise");
    DbgPrint("timer cancelled %u", KeCancelTimer(&Timer));
    DbgPrint(" link %x", IoDeleteSymbolicLink(&Link));
    DbgPrint(" again %x", IoDeleteSymbolicLink(&Link));
    IoFreeWorkItem(WorkItem);
    IoDeleteDevice(Device);
    DbgPrint(" devices %u\n", Driver->DeviceObject != NULL);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    KeInitializeSpinLock(&Lock);
    Synchronisation();
    Lists();
    Strings();
    Time();
    Devices(Driver);
    return STATUS_SUCCESS;
}
