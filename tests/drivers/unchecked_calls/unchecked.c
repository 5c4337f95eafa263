/* Drivers that do not reckon with one call failing; the service's name says which. "-checked" behind it: it does. */
#include <ntifs.h>
#include "../small/chosen.h"

#define TAG 'cnuU'

typedef struct {
    PCWSTR Name;
    NTSTATUS (*Entry)(VOID);
    VOID (*Unload)(VOID);
    PCREATE_PROCESS_NOTIFY_ROUTINE Process;
    PCREATE_THREAD_NOTIFY_ROUTINE Thread;
    PLOAD_IMAGE_NOTIFY_ROUTINE Image;
} HABIT;

static const HABIT *Habit;
static BOOLEAN Checked;
static PDRIVER_OBJECT Driver;
static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\Unchecked");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\Unchecked");
static PDEVICE_OBJECT Device;
static ULONG *First, *Second;
static PIO_WORKITEM Item;
static PETHREAD Worker;
static KEVENT Worked;
static ERESOURCE Resource;
static FAST_MUTEX Mutex;
static KTIMER Timer;
static KDPC Dpc;

static ULONG *Allocate(VOID)
{
    return ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
}

static VOID Free(PVOID Memory)
{
    if (Memory != NULL)
        ExFreePoolWithTag(Memory, TAG);
}

static VOID NTAPI SeesProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Create);
}

static VOID NTAPI SeesThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
}

static VOID NTAPI SeesImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
}

static NTSTATUS Nothing(VOID)
{
    return STATUS_SUCCESS;
}

/* Allocations that are used at once. */

static NTSTATUS FillsPool(VOID)
{
    First = Allocate();
    if (Checked && First == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    First[0] = 1;
    return STATUS_SUCCESS;
}

static VOID FreesFirst(VOID)
{
    Free(First);
}

static VOID Note(ULONG Value)
{
    ULONG *Room = Allocate();

    if (Checked && Room == NULL)
        return;
    Room[0] = Value;
    Free(Room);
}

static VOID NTAPI NotesProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    if (!Create)
        Note(HandleToULong(ProcessId));
}

static VOID NTAPI NotesThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    if (Create)
        Note(HandleToULong(ThreadId));
}

static VOID NTAPI NotesImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(Info);
    Note(HandleToULong(ProcessId));
}

/* Objects that are looked up. */

static VOID NTAPI LooksUpProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process = NULL;
    NTSTATUS Status = PsLookupProcessByProcessId(ProcessId, &Process);

    UNREFERENCED_PARAMETER(ParentId);
    UNREFERENCED_PARAMETER(Create);
    if (!Checked || NT_SUCCESS(Status))
        ObDereferenceObject(Process);
}

static VOID NTAPI LooksUpThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread = NULL;
    NTSTATUS Status = PsLookupThreadByThreadId(ThreadId, &Thread);

    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Create);
    if (!Checked || NT_SUCCESS(Status))
        ObDereferenceObject(Thread);
}

static VOID NTAPI OpensProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process;
    HANDLE Handle;

    UNREFERENCED_PARAMETER(ParentId);
    if (!Create || !NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process)))
        return;
    if (!NT_SUCCESS(ObOpenObjectByPointer(Process, OBJ_KERNEL_HANDLE, NULL, PROCESS_ALL_ACCESS, *PsProcessType, KernelMode,
                                          &Handle))) {
        if (Checked)
            ObDereferenceObject(Process);
        return;
    }
    ZwClose(Handle);
    ObDereferenceObject(Process);
}

/* A system thread that is waited for. */

static VOID NTAPI Ends(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
}

static NTSTATUS StartsThread(VOID)
{
    HANDLE Handle = NULL;
    NTSTATUS Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Ends, NULL);

    if (Checked && !NT_SUCCESS(Status))
        return Status;
    Worker = NULL;
    Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Worker, NULL);
    ZwClose(Handle);
    return Checked ? Status : STATUS_SUCCESS;
}

static VOID JoinsThread(VOID)
{
    KeWaitForSingleObject(Worker, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Worker);
}

static NTSTATUS KeepsHandle(VOID)
{
    HANDLE Handle;
    LARGE_INTEGER Interval = {.QuadPart = -10000LL * 50};
    NTSTATUS Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Ends, NULL);

    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Worker, NULL);
    if (Checked || NT_SUCCESS(Status))
        ZwClose(Handle);
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
    return Status;
}

/* Entry points that fail half way. */

static NTSTATUS AllocatesTwice(VOID)
{
    First = Allocate();
    if (First == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Second = Allocate();
    if (Second == NULL && Checked)
        Free(First);
    return Second == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID FreesBoth(VOID)
{
    Free(First);
    Free(Second);
}

static NTSTATUS RegistersTwo(VOID)
{
    NTSTATUS Status = PsSetCreateThreadNotifyRoutine(SeesThread);

    if (!NT_SUCCESS(Status))
        return Status;
    Status = PsSetLoadImageNotifyRoutine(SeesImage);
    if (!NT_SUCCESS(Status) && Checked)
        PsRemoveCreateThreadNotifyRoutine(SeesThread);
    return Status;
}

static VOID RemovesTwo(VOID)
{
    PsRemoveCreateThreadNotifyRoutine(SeesThread);
    PsRemoveLoadImageNotifyRoutine(SeesImage);
}

static NTSTATUS MakesLink(VOID)
{
    NTSTATUS Status = IoCreateDevice(Driver, 0, &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);

    if (!NT_SUCCESS(Status))
        return Status;
    Status = IoCreateSymbolicLink(&LinkName, &DeviceName);
    if (!NT_SUCCESS(Status) && Checked)
        IoDeleteDevice(Device);
    return Status;
}

static VOID DeletesLink(VOID)
{
    IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Device);
}

static NTSTATUS LeavesResource(VOID)
{
    ExInitializeResourceLite(&Resource);
    First = Allocate();
    if (First == NULL && Checked)
        ExDeleteResourceLite(&Resource);
    return First == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID DeletesResource(VOID)
{
    Free(First);
    ExDeleteResourceLite(&Resource);
}

static VOID NTAPI Ticks(PKDPC Self, PVOID Context, PVOID One, PVOID Two)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(One);
    UNREFERENCED_PARAMETER(Two);
}

static NTSTATUS LeavesTimer(VOID)
{
    LARGE_INTEGER Due = {.QuadPart = -10000LL * 500};

    KeInitializeDpc(&Dpc, Ticks, NULL);
    KeInitializeTimer(&Timer);
    KeSetTimer(&Timer, Due, &Dpc);
    First = Allocate();
    if (First == NULL && Checked)
        KeCancelTimer(&Timer);
    return First == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID CancelsTimer(VOID)
{
    Free(First);
    KeCancelTimer(&Timer);
    KeFlushQueuedDpcs();
}

/* What is used although it was not made. */

static NTSTATUS SetsFlags(VOID)
{
    NTSTATUS Status;

    Device = NULL;
    Status = IoCreateDevice(Driver, 0, &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (Checked && !NT_SUCCESS(Status))
        return Status;
    Device->Flags |= DO_BUFFERED_IO;
    return STATUS_SUCCESS;
}

static VOID DeletesDevice(VOID)
{
    IoDeleteDevice(Device);
}

static VOID NTAPI Works(PDEVICE_OBJECT Object, PVOID Context)
{
    UNREFERENCED_PARAMETER(Object);
    UNREFERENCED_PARAMETER(Context);
    KeSetEvent(&Worked, 0, FALSE);
}

static NTSTATUS QueuesWork(VOID)
{
    NTSTATUS Status = IoCreateDevice(Driver, 0, &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);

    if (!NT_SUCCESS(Status))
        return Status;
    KeInitializeEvent(&Worked, NotificationEvent, FALSE);
    Item = IoAllocateWorkItem(Device);
    if (Checked && Item == NULL) {
        IoDeleteDevice(Device);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoQueueWorkItem(Item, Works, DelayedWorkQueue, NULL);
    return STATUS_SUCCESS;
}

static VOID FreesWork(VOID)
{
    KeWaitForSingleObject(&Worked, Executive, KernelMode, FALSE, NULL);
    IoFreeWorkItem(Item);
    IoDeleteDevice(Device);
}

static NTSTATUS BuildsMdl(VOID)
{
    static ULONG Room[16];
    PMDL Mdl = IoAllocateMdl(Room, sizeof(Room), FALSE, FALSE, NULL);

    if (Checked && Mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmBuildMdlForNonPagedPool(Mdl);
    IoFreeMdl(Mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS ReadsName(VOID)
{
    ANSI_STRING Narrow;
    UNICODE_STRING Wide;
    NTSTATUS Status;

    RtlInitAnsiString(&Narrow, "name");
    Wide.Buffer = NULL;
    Status = RtlAnsiStringToUnicodeString(&Wide, &Narrow, TRUE);
    if (Checked && !NT_SUCCESS(Status))
        return Status;
    Wide.Buffer[0] = L'N';
    RtlFreeUnicodeString(&Wide);
    return STATUS_SUCCESS;
}

/* A lock that stays taken. */

static VOID NTAPI LocksThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    ULONG *Room;

    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&Mutex);
    Room = Allocate();
    if (Room == NULL && !Checked)
        return;
    Free(Room);
    ExReleaseFastMutex(&Mutex);
}

/* Calls what the target lacks where it has no pool. */

static NTSTATUS FallsBack(VOID)
{
    PHYSICAL_ADDRESS Highest = {.QuadPart = -1};

    First = Allocate();
    if (First == NULL)
        First = MmAllocateContiguousMemory(64, Highest);
    return STATUS_SUCCESS;
}

/* A callback that is refused, and not missed. */

static NTSTATUS WantsImages(VOID)
{
    NTSTATUS Status = PsSetLoadImageNotifyRoutine(SeesImage);

    return Checked ? Status : STATUS_SUCCESS;
}

static VOID DropsImages(VOID)
{
    PsRemoveLoadImageNotifyRoutine(SeesImage);
}

static NTSTATUS WantsProcesses(VOID)
{
    NTSTATUS Status = PsSetCreateProcessNotifyRoutine(SeesProcess, FALSE);

    return Checked ? Status : STATUS_SUCCESS;
}

static VOID DropsProcesses(VOID)
{
    PsSetCreateProcessNotifyRoutine(SeesProcess, TRUE);
}

static const HABIT Habits[] = {
    {L"fills-pool", FillsPool, FreesFirst, NULL, NULL, NULL},
    {L"notes-process", Nothing, NULL, NotesProcess, NULL, NULL},
    {L"notes-thread", Nothing, NULL, NULL, NotesThread, NULL},
    {L"notes-image", Nothing, NULL, NULL, NULL, NotesImage},
    {L"looks-up-process", Nothing, NULL, LooksUpProcess, NULL, NULL},
    {L"looks-up-thread", Nothing, NULL, NULL, LooksUpThread, NULL},
    {L"opens-process", Nothing, NULL, OpensProcess, NULL, NULL},
    {L"starts-thread", StartsThread, JoinsThread, NULL, NULL, NULL},
    {L"keeps-handle", KeepsHandle, JoinsThread, NULL, NULL, NULL},
    {L"allocates-twice", AllocatesTwice, FreesBoth, NULL, NULL, NULL},
    {L"registers-two", RegistersTwo, RemovesTwo, NULL, NULL, NULL},
    {L"makes-link", MakesLink, DeletesLink, NULL, NULL, NULL},
    {L"leaves-resource", LeavesResource, DeletesResource, NULL, NULL, NULL},
    {L"leaves-timer", LeavesTimer, CancelsTimer, NULL, NULL, NULL},
    {L"sets-flags", SetsFlags, DeletesDevice, NULL, NULL, NULL},
    {L"queues-work", QueuesWork, FreesWork, NULL, NULL, NULL},
    {L"builds-mdl", BuildsMdl, NULL, NULL, NULL, NULL},
    {L"reads-name", ReadsName, NULL, NULL, NULL, NULL},
    {L"locks-thread", Nothing, NULL, NULL, LocksThread, NULL},
    {L"falls-back", FallsBack, FreesFirst, NULL, NULL, NULL},
    {L"wants-images", WantsImages, DropsImages, NULL, NULL, NULL},
    {L"wants-processes", WantsProcesses, DropsProcesses, NULL, NULL, NULL},
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
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    ULONG Index;
    NTSTATUS Status;

    Driver = DriverObject;
    DriverObject->DriverUnload = Unload;
    ExInitializeFastMutex(&Mutex);
    for (Index = 0; Index < RTL_NUMBER_OF(Habits); Index++) {
        if (Chosen(RegistryPath, Habits[Index].Name, L""))
            Habit = &Habits[Index];
        if (Chosen(RegistryPath, Habits[Index].Name, L"-checked")) {
            Habit = &Habits[Index];
            Checked = TRUE;
        }
    }
    if (Habit == NULL)
        return STATUS_INVALID_PARAMETER;
    Status = Habit->Entry();
    if (NT_SUCCESS(Status) && Habit->Process != NULL)
        Status = PsSetCreateProcessNotifyRoutine(Habit->Process, FALSE);
    if (NT_SUCCESS(Status) && Habit->Thread != NULL)
        Status = PsSetCreateThreadNotifyRoutine(Habit->Thread);
    if (NT_SUCCESS(Status) && Habit->Image != NULL)
        Status = PsSetLoadImageNotifyRoutine(Habit->Image);
    return Status;
}
