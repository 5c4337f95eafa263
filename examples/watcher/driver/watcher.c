/* Prints each process that begins and ends, and nothing else. */
#include <ntifs.h>

#define LOG(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "[procnotify] " __VA_ARGS__)

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    if (Create)
        LOG("OnProcess PPID(%u) created PID(%u)\n", HandleToULong(ParentId), HandleToULong(ProcessId));
    else
        LOG("OnProcess PID(%u) was terminated\n", HandleToULong(ProcessId));
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (NT_SUCCESS(PsSetCreateProcessNotifyRoutine(OnProcess, TRUE)))
        LOG("Unload PsRemoveCreateProcessNotifyRoutine success\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    Status = PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    if (NT_SUCCESS(Status))
        LOG("DriverEntry PsSetCreateProcessNotifyRoutine success\n");
    return Status;
}
