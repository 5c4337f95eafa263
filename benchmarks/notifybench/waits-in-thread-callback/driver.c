/* A thread callback that holds every new thread up until a table is filled, which takes a thread to be made. */
#include "notifybench.h"

static KEVENT Go, Filled;
static PETHREAD Filler;

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(ThreadId);
    if (!Create)
        return;
#ifdef MENDED
    if (KeReadStateEvent(&Filled) == 0)
        return;
#else
    KeWaitForSingleObject(&Filled, Executive, KernelMode, FALSE, NULL);
#endif
}

static VOID NTAPI LooksAtFile(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
}

/* What a file system filter below may do while a file is opened: it hands the work to a thread of its own. */
static VOID OpensFile(VOID)
{
    HANDLE Handle;

    if (NT_SUCCESS(PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, LooksAtFile, NULL)))
        ZwClose(Handle);
}

static VOID NTAPI FillsTable(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    OpensFile();
    KeSetEvent(&Filled, 0, FALSE);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    KeWaitForSingleObject(Filler, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Filler);
    Pause(50);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    HANDLE Handle;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    KeInitializeEvent(&Filled, NotificationEvent, FALSE);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, FillsTable, NULL);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Filler, NULL);
    ZwClose(Handle);
    if (NT_SUCCESS(Status))
        Status = PsSetCreateThreadNotifyRoutine(OnThread);
    KeSetEvent(&Go, 0, FALSE);
    return Status;
}
