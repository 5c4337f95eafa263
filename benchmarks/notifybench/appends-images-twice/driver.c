/* An image callback that keeps the names of images apart, and writes down each that it sees, known or not. */
#include "notifybench.h"

#define CAPACITY 64

static ULONG *Known;
static ULONG KnownCount;
static FAST_MUTEX Mutex;

static ULONG HashOf(PUNICODE_STRING Name)
{
    ULONG Hash = 0;
    USHORT Index;

    for (Index = 0; Index < Name->Length / sizeof(WCHAR); Index++)
        Hash = Hash * 31 + Name->Buffer[Index];
    return Hash;
}

static VOID Append(ULONG Hash)
{
#ifdef MENDED
    ULONG Index;

    for (Index = 0; Index < KnownCount; Index++)
        if (Known[Index] == Hash)
            return;
    if (KnownCount == CAPACITY)
        return;
#endif
    Known[KnownCount++] = Hash;
}

static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    ULONG Hash;

    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
    if (Name == NULL)
        return;
    Hash = HashOf(Name);
    ExAcquireFastMutex(&Mutex);
    Append(Hash);
    ExReleaseFastMutex(&Mutex);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveLoadImageNotifyRoutine(OnImage);
    LOG("%u images are known\n", KnownCount);
    Free(Known);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    ExInitializeFastMutex(&Mutex);
    KnownCount = 0;
    Known = (ULONG *)Allocate(CAPACITY * sizeof(*Known));
    if (Known == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Status = PsSetLoadImageNotifyRoutine(OnImage);
    if (!NT_SUCCESS(Status))
        Free(Known);
    return Status;
}
