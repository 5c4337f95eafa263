/* A process callback that looks up both the new process and its parent, to print something of each. */
#include "notifybench.h"

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    PEPROCESS Process = NULL, Parent = NULL;

    if (!NT_SUCCESS(PsLookupProcessByProcessId(ParentId, &Parent)))
        return;
    if (NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process)))
        LOG("process %p %s, child of %p\n", PsGetProcessId(Process), Create ? "begins" : "ends", PsGetProcessId(Parent));
#ifdef MENDED
    if (Process != NULL)
        ObDereferenceObject(Process);
    ObDereferenceObject(Parent);
#endif
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
