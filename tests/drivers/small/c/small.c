/* Small drivers, each with one habit; the service's name says which. "-mended" behind it leaves the fault out. */
#include <ntifs.h>

#include "../chosen.h"

#define TAG 'llmS'
#define LOG(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)
#define MILLISECONDS(n) (-10000LL * (n))

typedef struct {
    PCWSTR Name;
    NTSTATUS (*Entry)(VOID);
    VOID (*Unload)(VOID);
    PCREATE_PROCESS_NOTIFY_ROUTINE Process;
    PCREATE_THREAD_NOTIFY_ROUTINE Thread;
    PLOAD_IMAGE_NOTIFY_ROUTINE Image;
} HABIT;

static const HABIT *Habit;
static BOOLEAN Mended;
static PDRIVER_OBJECT Driver;
static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\Small");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\Small");
static PDEVICE_OBJECT Device;
static ULONG *Counts;
static HANDLE Kept;
static PIO_WORKITEM Item;
static WORK_QUEUE_ITEM Queued;
static KTIMER Timer;
static KDPC Dpc;
static KEVENT Stop;
static PETHREAD Worker;
static ERESOURCE Resource;
static LOOKASIDE_LIST_EX List;
static REGHANDLE Provider;
static FAST_MUTEX Mutex;
static KSPIN_LOCK Lock;

static VOID Sleep(LONG Milliseconds)
{
    LARGE_INTEGER Interval = {.QuadPart = MILLISECONDS(Milliseconds)};

    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

/* Prints that tell what they saw, in different words. */

static VOID NTAPI TellsProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    if (Create)
        LOG("[DRIVER] Process Created. (%llu)\n", (ULONG64)(ULONG_PTR)ProcessId);
    else
        LOG("[DRIVER] Process Terminated. (%llu) of %p\n", (ULONG64)(ULONG_PTR)ProcessId, ParentId);
}

static VOID NTAPI TellsThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    LOG("%s tid:%lu pid=%lu", Create ? "create" : "exit", HandleToULong(ThreadId), HandleToULong(ProcessId));
    LOG("\n");
}

static VOID NTAPI TellsImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    LOG("ImagePath=%wZ\r\n  PID=0x%p size %Ix\r\n", Name, ProcessId, Info->ImageSize);
}

static NTSTATUS Nothing(VOID)
{
    return STATUS_SUCCESS;
}

/* Leaves a notify routine. */

static VOID KeepsCallback(VOID)
{
    if (Mended)
        PsRemoveCreateThreadNotifyRoutine(TellsThread);
}

static NTSTATUS RegistersThread(VOID)
{
    return PsSetCreateThreadNotifyRoutine(TellsThread);
}

/* Leaves a reference to every process that begins. */

static VOID NTAPI LooksUpProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process;

    TellsProcess(ParentId, ProcessId, Create);
    if (Create && NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process))) {
        LOG("Process Create (%d)\n", (int)(ULONG_PTR)PsGetProcessId(Process));
        if (Mended)
            ObDereferenceObject(Process);
    }
}

/* Leaves pool. */

static NTSTATUS AllocatesCounts(VOID)
{
    Counts = ExAllocatePoolWithTag(NonPagedPool, 64 * sizeof(ULONG), TAG);
    return Counts == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID NTAPI CountsThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Create);
    Counts[HandleToULong(ThreadId) & 63]++;
}

static VOID KeepsCounts(VOID)
{
    if (Mended)
        ExFreePoolWithTag(Counts, TAG);
}

/* Leaves pool when its DriverEntry fails. */

static NTSTATUS FailsWithCounts(VOID)
{
    NTSTATUS Status = AllocatesCounts();

    if (NT_SUCCESS(Status) && Mended) {
        ExFreePoolWithTag(Counts, TAG);
        return STATUS_SUCCESS;
    }
    return STATUS_UNSUCCESSFUL;
}

/* Leaves a handle to the System process. */

static NTSTATUS OpensSystem(VOID)
{
    return ObOpenObjectByPointer(PsInitialSystemProcess, OBJ_KERNEL_HANDLE, NULL, PROCESS_ALL_ACCESS, *PsProcessType, KernelMode,
                                 &Kept);
}

static VOID KeepsHandle(VOID)
{
    if (Mended)
        ZwClose(Kept);
}

/* Leaves a device, a symbolic link. */

static NTSTATUS MakesDevice(VOID)
{
    NTSTATUS Status = IoCreateDevice(Driver, 0, &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);

    return NT_SUCCESS(Status) ? IoCreateSymbolicLink(&LinkName, &DeviceName) : Status;
}

static VOID KeepsDevice(VOID)
{
    IoDeleteSymbolicLink(&LinkName);
    if (Mended)
        IoDeleteDevice(Device);
}

static VOID KeepsLink(VOID)
{
    if (Mended)
        IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Device);
}

/* Leaves a work item that it allocated, and one that is queued. */

static NTSTATUS AllocatesItem(VOID)
{
    NTSTATUS Status = MakesDevice();

    if (NT_SUCCESS(Status))
        Item = IoAllocateWorkItem(Device);
    return Status;
}

static VOID KeepsItem(VOID)
{
    if (Mended)
        IoFreeWorkItem(Item);
    IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Device);
}

static VOID NTAPI WorksLong(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    Sleep(300);
    KeSetEvent(&Stop, 0, FALSE);
}

static VOID KeepsQueue(VOID)
{
    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    ExInitializeWorkItem(&Queued, WorksLong, NULL);
    ExQueueWorkItem(&Queued, DelayedWorkQueue);
    if (Mended) {
        KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, NULL);
        Sleep(100);
    }
}

/* Leaves a periodic timer. */

static VOID NTAPI Ticks(PKDPC Self, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
}

static NTSTATUS StartsTimer(VOID)
{
    LARGE_INTEGER Due = {.QuadPart = MILLISECONDS(50)};

    KeInitializeDpc(&Dpc, Ticks, NULL);
    KeInitializeTimer(&Timer);
    KeSetTimerEx(&Timer, Due, 50, &Dpc);
    return STATUS_SUCCESS;
}

static VOID KeepsTimer(VOID)
{
    if (!Mended)
        return;
    KeCancelTimer(&Timer);
    KeFlushQueuedDpcs();
}

/* Leaves a DPC queued on another processor. */

static VOID KeepsDpc(VOID)
{
    KeInitializeDpc(&Dpc, Ticks, NULL);
    KeSetTargetProcessorDpc(&Dpc, (CCHAR)(1 - KeGetCurrentProcessorNumber()));
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    if (Mended)
        KeRemoveQueueDpc(&Dpc);
}

/* Leaves a system thread. */

static VOID NTAPI Loops(PVOID Parameter)
{
    LARGE_INTEGER Interval = {.QuadPart = MILLISECONDS(40)};

    UNREFERENCED_PARAMETER(Parameter);
    while (KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, &Interval) == STATUS_TIMEOUT)
        ;
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StartsThread(VOID)
{
    HANDLE Handle;
    NTSTATUS Status;

    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Loops, NULL);
    if (NT_SUCCESS(Status)) {
        Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Worker, NULL);
        ZwClose(Handle);
    }
    return Status;
}

static VOID KeepsThread(VOID)
{
    if (Mended) {
        KeSetEvent(&Stop, 0, FALSE);
        KeWaitForSingleObject(Worker, Executive, KernelMode, FALSE, NULL);
    }
    ObDereferenceObject(Worker);
}

/* Leaves the handle of a thread that ended. */

static VOID NTAPI Ends(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
}

static NTSTATUS StartsShortThread(VOID)
{
    NTSTATUS Status = PsCreateSystemThread(&Kept, THREAD_ALL_ACCESS, NULL, NULL, NULL, Ends, NULL);

    Sleep(20);
    return Status;
}

/* Leaves an ERESOURCE. */

static NTSTATUS MakesResource(VOID)
{
    return ExInitializeResourceLite(&Resource);
}

static VOID KeepsResource(VOID)
{
    if (Mended)
        ExDeleteResourceLite(&Resource);
}

/* Leaves a lookaside list. */

static NTSTATUS MakesList(VOID)
{
    return ExInitializeLookasideListEx(&List, NULL, NULL, NonPagedPoolNx, 0, 64, TAG, 0);
}

static VOID NTAPI UsesList(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    const PVOID Entry = ExAllocateFromLookasideListEx(&List);

    TellsThread(ProcessId, ThreadId, Create);
    if (Entry != NULL)
        ExFreeToLookasideListEx(&List, Entry);
}

static VOID KeepsList(VOID)
{
    if (Mended)
        ExDeleteLookasideListEx(&List);
}

/* Leaves an ETW provider. */

static NTSTATUS RegistersProvider(VOID)
{
    static const GUID Id = {0x3f9a1c52, 0x7d04, 0x4e61, {0x90, 0x1b, 0x5c, 0x22, 0x8e, 0xd7, 0x41, 0x06}};

    return EtwRegister(&Id, NULL, NULL, &Provider);
}

static VOID NTAPI WritesEvent(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    static const EVENT_DESCRIPTOR Loaded = {1, 0, 0, 4, 0, 0, 1};

    TellsImage(Name, ProcessId, Info);
    if (!NT_SUCCESS(EtwWrite(Provider, &Loaded, NULL, 0, NULL)) || EtwEventEnabled(Provider, &Loaded))
        LOG("ETW?\n");
}

static VOID KeepsProvider(VOID)
{
    if (Mended)
        EtwUnregister(Provider);
}

/* Closes a handle twice. */

static NTSTATUS ClosesTwice(VOID)
{
    const NTSTATUS Status = ObOpenObjectByPointer(PsInitialSystemProcess, OBJ_KERNEL_HANDLE, NULL, 0, NULL,
                                                  KernelMode, &Kept);

    if (!NT_SUCCESS(Status))
        return Status;
    ZwClose(Kept);
    if (!Mended)
        ZwClose(Kept);
    return STATUS_SUCCESS;
}

/* Keeps references to the executables of processes. */

NTSTATUS NTAPI PsReferenceProcessFilePointer(PEPROCESS Process, PFILE_OBJECT *File);

static VOID NTAPI ReferencesFile(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PFILE_OBJECT File;

    TellsProcess(ParentId, ProcessId, Create);
    if (!Create || !NT_SUCCESS(PsReferenceProcessFilePointer(IoGetCurrentProcess(), &File)))
        return;
    LOG("%wZ\n", &File->FileName);
    if (Mended)
        ObDereferenceObject(File);
}

/* Registers an Ex routine without /INTEGRITYCHECK, and goes on without it. */

static VOID NTAPI TellsProcessEx(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Process);
    LOG("'P'(%p) %s\n", ProcessId, Info != NULL ? "started" : "ended");
}

static NTSTATUS RegistersEx(VOID)
{
    NTSTATUS Status = Mended ? STATUS_SUCCESS : PsSetCreateProcessNotifyRoutineEx(TellsProcessEx, FALSE);

    if (!NT_SUCCESS(Status))
        LOG("Failed to add routine! Error: %d\n", Status);
    return STATUS_SUCCESS;
}

/* Removes itself from inside. */

static VOID NTAPI RemovesItself(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    TellsImage(Name, ProcessId, Info);
    if (!Mended)
        PsRemoveLoadImageNotifyRoutine(RemovesItself);
}

/* Waits in its notify routine. */

static VOID NTAPI WaitsLong(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    TellsProcess(ParentId, ProcessId, Create);
    Sleep(Mended ? 5 : 2500);
}

/* Touches pool that it freed. */

static VOID NTAPI TouchesFreed(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    ULONG *Note = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Note), TAG);

    UNREFERENCED_PARAMETER(ProcessId);
    if (Note == NULL)
        return;
    *Note = HandleToULong(ThreadId);
    if (Mended)
        LOG("thread %u %u\n", *(volatile ULONG *)Note, Create);
    ExFreePoolWithTag(Note, TAG);
    if (!Mended)
        LOG("thread %u %u\n", *(volatile ULONG *)Note, Create);
}

/* Calls what wants a lower IRQL. */

static VOID NTAPI LooksUpAtDispatch(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread;
    KIRQL Old = PASSIVE_LEVEL;
    NTSTATUS Status;

    if (!Mended)
        KeAcquireSpinLock(&Lock, &Old);
    Status = PsLookupThreadByThreadId(ThreadId, &Thread);
    if (!Mended)
        KeReleaseSpinLock(&Lock, Old);
    if (NT_SUCCESS(Status))
        ObDereferenceObject(Thread);
    TellsThread(ProcessId, ThreadId, Create);
}

static NTSTATUS ClosesUnderMutex(VOID)
{
    NTSTATUS Status = OpensSystem();

    ExInitializeFastMutex(&Mutex);
    ExAcquireFastMutex(&Mutex);
    if (!Mended)
        ZwClose(Kept);
    ExReleaseFastMutex(&Mutex);
    if (Mended)
        ZwClose(Kept);
    return Status;
}

static VOID NTAPI ReadsRegistry(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNICODE_STRING Services = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services");
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Key;

    TellsImage(Name, ProcessId, Info);
    InitializeObjectAttributes(&Attributes, &Services, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!Mended && NT_SUCCESS(ZwOpenKey(&Key, KEY_READ, &Attributes)))
        ZwClose(Key);
}

static VOID NTAPI StaysRaised(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    TellsThread(ProcessId, ThreadId, Create);
    KeRaiseIrql(APC_LEVEL, &Old);
    if (Mended)
        KeLowerIrql(Old);
}

static VOID NTAPI StaysInRegion(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    KeEnterCriticalRegion();
    TellsThread(ProcessId, ThreadId, Create);
    if (Mended)
        KeLeaveCriticalRegion();
}

/* Keeps the name that it was handed, and prints or reads it when it is called the next time. */

static PUNICODE_STRING KeptName;

static VOID NTAPI PrintsKeptName(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
    LOG("image %wZ, before it %wZ\n", Name, Mended || KeptName == NULL ? Name : KeptName);
    KeptName = Name;
}

static VOID NTAPI ReadsKeptName(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Info);
    if (KeptName != NULL && !Mended)
        LOG("%Iu: the one before began with %C\n", (ULONG_PTR)ProcessId, KeptName->Buffer[0]);
    KeptName = Name;
}

static const HABIT Habits[] = {
    {L"tells-all", Nothing, NULL, TellsProcess, TellsThread, TellsImage},
    {L"keeps-callback", RegistersThread, KeepsCallback, TellsProcess, NULL, NULL},
    {L"keeps-reference", Nothing, NULL, LooksUpProcess, NULL, NULL},
    {L"keeps-pool", AllocatesCounts, KeepsCounts, NULL, CountsThread, NULL},
    {L"fails-with-pool", FailsWithCounts, NULL, NULL, NULL, NULL},
    {L"keeps-handle", OpensSystem, KeepsHandle, TellsProcess, NULL, TellsImage},
    {L"keeps-thread-handle", StartsShortThread, KeepsHandle, TellsProcess, NULL, NULL},
    {L"keeps-device", MakesDevice, KeepsDevice, TellsProcess, NULL, NULL},
    {L"keeps-link", MakesDevice, KeepsLink, NULL, TellsThread, NULL},
    {L"keeps-work-item", AllocatesItem, KeepsItem, TellsProcess, NULL, NULL},
    {L"keeps-queued-work", Nothing, KeepsQueue, NULL, NULL, TellsImage},
    {L"keeps-timer", StartsTimer, KeepsTimer, TellsProcess, NULL, NULL},
    {L"keeps-dpc", Nothing, KeepsDpc, TellsProcess, NULL, NULL},
    {L"keeps-thread", StartsThread, KeepsThread, TellsProcess, NULL, NULL},
    {L"keeps-resource", MakesResource, KeepsResource, TellsProcess, NULL, NULL},
    {L"keeps-list", MakesList, KeepsList, NULL, UsesList, NULL},
    {L"keeps-provider", RegistersProvider, KeepsProvider, NULL, NULL, WritesEvent},
    {L"closes-twice", ClosesTwice, NULL, TellsProcess, NULL, NULL},
    {L"keeps-file", Nothing, NULL, ReferencesFile, NULL, NULL},
    {L"is-refused", RegistersEx, NULL, NULL, NULL, TellsImage},
    {L"removes-itself", Nothing, NULL, NULL, NULL, RemovesItself},
    {L"waits-long", Nothing, NULL, WaitsLong, NULL, NULL},
    {L"touches-freed", Nothing, NULL, NULL, TouchesFreed, NULL},
    {L"looks-up-at-dispatch", Nothing, NULL, NULL, LooksUpAtDispatch, NULL},
    {L"closes-under-mutex", ClosesUnderMutex, NULL, TellsProcess, NULL, NULL},
    {L"reads-registry", Nothing, NULL, NULL, NULL, ReadsRegistry},
    {L"prints-kept-name", Nothing, NULL, NULL, NULL, PrintsKeptName},
    {L"reads-kept-name", Nothing, NULL, NULL, NULL, ReadsKeptName},
    {L"stays-raised", Nothing, NULL, NULL, StaysRaised, NULL},
    {L"stays-in-region", Nothing, NULL, NULL, StaysInRegion, NULL},
};

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Habit->Process != NULL)
        PsSetCreateProcessNotifyRoutine(Habit->Process, TRUE);
    if (Habit->Thread != NULL)
        PsRemoveCreateThreadNotifyRoutine(Habit->Thread);
    if (Habit->Image != NULL)
        PsRemoveLoadImageNotifyRoutine(Habit->Image);
    if (Habit->Unload != NULL)
        Habit->Unload();
    LOG("Stop!");
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    ULONG Index;
    NTSTATUS Status;

    Driver = DriverObject;
    DriverObject->DriverUnload = Unload;
    KeInitializeSpinLock(&Lock);
    for (Index = 0; Index < RTL_NUMBER_OF(Habits); Index++) {
        if (Chosen(RegistryPath, Habits[Index].Name, L""))
            Habit = &Habits[Index];
        if (Chosen(RegistryPath, Habits[Index].Name, L"-mended")) {
            Habit = &Habits[Index];
            Mended = TRUE;
        }
    }
    if (Habit == NULL)
        return STATUS_INVALID_PARAMETER;
    Status = Habit->Entry();
    if (!NT_SUCCESS(Status))
        return Status;
    if (Habit->Process != NULL)
        PsSetCreateProcessNotifyRoutine(Habit->Process, FALSE);
    if (Habit->Thread != NULL)
        PsSetCreateThreadNotifyRoutine(Habit->Thread);
    if (Habit->Image != NULL)
        PsSetLoadImageNotifyRoutine(Habit->Image);
    return STATUS_SUCCESS;
}
