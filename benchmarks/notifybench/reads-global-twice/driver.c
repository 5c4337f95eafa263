/* A process callback that watches one process at a time, and looks whether it does before it writes that down. */
#include "notifybench.h"

typedef struct {
    HANDLE ProcessId;
} WATCH;

static WATCH *volatile Watched;
static FAST_MUTEX Mutex;

static VOID Begin(HANDLE ProcessId)
{
    WATCH *Watch;

    if (Watched != NULL)
        return;
    Watch = (WATCH *)Allocate(sizeof(*Watch));
    if (Watch == NULL)
        return;
    Watch->ProcessId = ProcessId;
    Watched = Watch;
}

static VOID End(HANDLE ProcessId)
{
    WATCH *Watch = Watched;

    if (Watch != NULL && Watch->ProcessId == ProcessId) {
        Watched = NULL;
        Free(Watch);
    }
}

static VOID NTAPI OnProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    UNREFERENCED_PARAMETER(Process);
#ifdef MENDED
    ExAcquireFastMutex(&Mutex);
#endif
    if (Info != NULL)
        Begin(ProcessId);
    else
        End(ProcessId);
#ifdef MENDED
    ExReleaseFastMutex(&Mutex);
#endif
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE);
    if (Watched != NULL)
        Free((PVOID)Watched);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    Watched = NULL;
    ExInitializeFastMutex(&Mutex);
    return PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
}
#pragma comment(linker, "/INTEGRITYCHECK")
