/* A driver that registers two callbacks, and removes the one that it thinks of. */
#include "notifybench.h"

static LONG Images;

static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
    InterlockedIncrement(&Images);
}

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    if (!Create)
        LOG("process %p ends, %d images were mapped by now\n", ProcessId, Images);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
#ifdef MENDED
    PsRemoveLoadImageNotifyRoutine(OnImage);
#endif
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Images = 0;
    DriverObject->DriverUnload = Unload;
    Status = PsSetLoadImageNotifyRoutine(OnImage);
    if (!NT_SUCCESS(Status))
        return Status;
    Status = PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    if (!NT_SUCCESS(Status))
        PsRemoveLoadImageNotifyRoutine(OnImage);
    return Status;
}
