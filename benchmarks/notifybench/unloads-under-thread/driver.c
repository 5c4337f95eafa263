/* A driver whose thread says that it is done, and is believed before it has left the driver's code. */
#include "notifybench.h"

static KEVENT Stop, Stopped;
static PETHREAD Counter;
static LONG Threads;

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(ThreadId);
    if (Create)
        InterlockedIncrement(&Threads);
}

static VOID NTAPI Counts(PVOID Parameter)
{
    LARGE_INTEGER Interval;

    UNREFERENCED_PARAMETER(Parameter);
    Interval.QuadPart = -10000LL * 20;
    while (KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, &Interval) == STATUS_TIMEOUT)
        if (InterlockedExchange(&Threads, 0) != 0)
            LOG("threads were made\n");
    KeSetEvent(&Stopped, 0, FALSE);
    LOG("done\n");
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    KeSetEvent(&Stop, 0, FALSE);
#ifdef MENDED
    KeWaitForSingleObject(Counter, Executive, KernelMode, FALSE, NULL);
#else
    KeWaitForSingleObject(&Stopped, Executive, KernelMode, FALSE, NULL);
#endif
    ObDereferenceObject(Counter);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    HANDLE Handle;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    Threads = 0;
    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    KeInitializeEvent(&Stopped, NotificationEvent, FALSE);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Counts, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Counter, NULL);
    ZwClose(Handle);
    if (NT_SUCCESS(Status))
        Status = PsSetCreateThreadNotifyRoutine(OnThread);
    return Status;
}
