/* A process callback that follows one process, and takes itself away when that process ends. */
#include "notifybench.h"

static HANDLE Followed;
static LONG Registered;

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create);

static VOID StopFollowing(VOID)
{
    if (InterlockedExchange(&Registered, 0))
        PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    if (Create && Followed == NULL)
        Followed = ProcessId;
    if (!Create && Followed == ProcessId) {
        LOG("process %p has ended\n", ProcessId);
#ifndef MENDED
        StopFollowing();
#endif
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    StopFollowing();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    Followed = NULL;
    Status = PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    if (NT_SUCCESS(Status))
        Registered = 1;
    return Status;
}
