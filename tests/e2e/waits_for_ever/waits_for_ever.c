/* Takes a lock in its image callback and waits under it for an event that nobody sets. */
#include <ntddk.h>

static FAST_MUTEX Lock;
static KEVENT Event;

static __attribute__((noinline)) VOID WaitsUnderLock(VOID)
{
    ExAcquireFastMutex(&Lock);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    ExReleaseFastMutex(&Lock);
}

static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Name);
    UNREFERENCED_PARAMETER(ProcessId);
    UNREFERENCED_PARAMETER(Info);
    WaitsUnderLock();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(DriverObject);
    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeFastMutex(&Lock);
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    return PsSetLoadImageNotifyRoutine(OnImage);
}
