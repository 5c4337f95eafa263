/* A process callback that asks for each process's object, and gives it back on one of its two ways out only. */
#include "notifybench.h"

static LONG Started;

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process;

    UNREFERENCED_PARAMETER(ParentId);
    if (!Create || !NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process)))
        return;
    if (Process == PsInitialSystemProcess) {
        ObDereferenceObject(Process);
        return;
    }
    InterlockedIncrement(&Started);
#ifdef MENDED
    ObDereferenceObject(Process);
#endif
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    LOG("%d processes started\n", Started);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Started = 0;
    DriverObject->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
