/* What the drivers have in common, and their entry points. */
#include "driver_case.h"

const DRIVER_CASE *Case;
PDRIVER_OBJECT Driver;
KEVENT Event, Second;
KTIMER Timer;
KDPC Dpc;
KMUTEX Mutex;
KSEMAPHORE Semaphore;
FAST_MUTEX FastMutex, OtherFastMutex;
KSPIN_LOCK SpinLock;
ERESOURCE Resource, OtherResource;
EX_RUNDOWN_REF Rundown;
WORK_QUEUE_ITEM WorkItem;
volatile LONG Stop, Calls, Inside, MostInside;

ULONG Now(VOID)
{
    return (ULONG)(KeQueryInterruptTime() / 10000);
}

VOID Sleep(LONG Milliseconds)
{
    LARGE_INTEGER Interval = {.QuadPart = MILLISECONDS(Milliseconds)};

    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

NTSTATUS WaitFor(PVOID Object)
{
    return KeWaitForSingleObject(Object, Executive, KernelMode, FALSE, NULL);
}

NTSTATUS WaitAtMost(PVOID Object, LONG Milliseconds)
{
    LARGE_INTEGER Timeout = {.QuadPart = MILLISECONDS(Milliseconds)};

    return KeWaitForSingleObject(Object, Executive, KernelMode, FALSE, &Timeout);
}

VOID NTAPI DpcSetsEvent(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Last);
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

VOID StartTimer(LONG Milliseconds)
{
    LARGE_INTEGER Due = {.QuadPart = MILLISECONDS(Milliseconds)};

    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, DpcSetsEvent, &Event);
    KeSetTimer(&Timer, Due, &Dpc);
}

NTSTATUS StartThread(PKSTART_ROUTINE Routine, PETHREAD *Thread)
{
    HANDLE Handle;
    NTSTATUS Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Routine, &Event);

    if (NT_SUCCESS(Status)) {
        Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)Thread, NULL);
        ZwClose(Handle);
    }
    return Status;
}

VOID SleepsInCallback(HANDLE ThreadId, BOOLEAN Create)
{
    LONG Now = InterlockedIncrement(&Inside);

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    if (Now > MostInside)
        MostInside = Now;
    Sleep(200);
    InterlockedDecrement(&Inside);
}

VOID SaysHowManyOverlapped(VOID)
{
    DbgPrint("at most %u inside, %u now\n", MostInside, Inside);
}

static const DRIVER_CASE *const Tables[] = {WaitCases, LockCases, ThreadCases, DeferredCases, LeftoverCases, PrintCases, RaceCases, ApcCases, EndingCases,
                                           ExTimerCases, RemoveLockCases};

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    Case->Callback(ThreadId, Create);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Case->BeforeRemoval != NULL)
        Case->BeforeRemoval();
    if (Case->Callback != NULL)
        PsRemoveCreateThreadNotifyRoutine(OnThread);
    if (Case->Unload != NULL)
        Case->Unload();
    ExDeleteResourceLite(&Resource);
    ExDeleteResourceLite(&OtherResource);
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
    const DRIVER_CASE *Found;
    NTSTATUS Status;
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Tables); Index++)
        for (Found = Tables[Index]; Found->Name != NULL; Found++)
            if (EndsWith(RegistryPath, Found->Name))
                Case = Found;
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
