/* A thread callback that looks up the new thread to see whose it is, and keeps the reference. */
#include "notifybench.h"

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread;

    if (!Create || !NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread)))
        return;
    if (IoThreadToProcess(Thread) != PsGetCurrentProcess())
        LOG("thread %p of process %p was made from outside\n", ThreadId, ProcessId);
#ifdef MENDED
    ObDereferenceObject(Thread);
#endif
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
