/* A process callback that says who made a process, and asks for its parent. */
#include "notifybench.h"

static VOID NTAPI OnProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    HANDLE Creator;

    UNREFERENCED_PARAMETER(Process);
    if (Info == NULL) {
        LOG("[bench] %lu ended\n", HandleToULong(ProcessId));
        return;
    }
#ifdef MENDED
    Creator = Info->CreatingThreadId.UniqueProcess;
#else
    Creator = Info->ParentProcessId;
#endif
    LOG("[bench] %lu was made by %lu\n", HandleToULong(ProcessId), HandleToULong(Creator));
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
}
#pragma comment(linker, "/INTEGRITYCHECK")
