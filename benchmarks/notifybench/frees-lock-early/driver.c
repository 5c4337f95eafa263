/* Callbacks that share a lock, and an unload routine that takes the lock away before the callbacks. */
#include "notifybench.h"

static PERESOURCE NamesLock;
static ULONG Names;

static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(NamesLock, TRUE);
    if (Name != NULL)
        Names++;
    ExReleaseResourceLite(NamesLock);
    KeLeaveCriticalRegion();
}

static VOID FreeLock(VOID)
{
    ExDeleteResourceLite(NamesLock);
    Free(NamesLock);
    NamesLock = NULL;
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
#ifdef MENDED
    PsRemoveLoadImageNotifyRoutine(OnImage);
    FreeLock();
#else
    FreeLock();
    PsRemoveLoadImageNotifyRoutine(OnImage);
#endif
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    Names = 0;
    NamesLock = (PERESOURCE)Allocate(sizeof(*NamesLock));
    if (NamesLock == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ExInitializeResourceLite(NamesLock);
    Status = PsSetLoadImageNotifyRoutine(OnImage);
    if (!NT_SUCCESS(Status))
        FreeLock();
    return Status;
}
