/* A process callback that walks the list of the processes it knows, from which another one takes some away. */
#include "notifybench.h"

typedef struct {
    LIST_ENTRY Link;
    HANDLE ProcessId, ParentId;
} PROCESS;

static LIST_ENTRY Processes;
static FAST_MUTEX Mutex;

static VOID Insert(HANDLE ProcessId, HANDLE ParentId)
{
    PROCESS *Process = (PROCESS *)Allocate(sizeof(*Process));

    if (Process == NULL)
        return;
    Process->ProcessId = ProcessId;
    Process->ParentId = ParentId;
    ExAcquireFastMutex(&Mutex);
    InsertTailList(&Processes, &Process->Link);
    ExReleaseFastMutex(&Mutex);
}

static VOID Remove(HANDLE ProcessId)
{
    PLIST_ENTRY Link;

    ExAcquireFastMutex(&Mutex);
    for (Link = Processes.Flink; Link != &Processes; Link = Link->Flink) {
        PROCESS *Process = CONTAINING_RECORD(Link, PROCESS, Link);

        if (Process->ProcessId == ProcessId) {
            RemoveEntryList(Link);
            Free(Process);
            break;
        }
    }
    ExReleaseFastMutex(&Mutex);
}

static ULONG CountSiblings(HANDLE ParentId)
{
    PLIST_ENTRY Link;
    ULONG Count = 0;

#ifdef MENDED
    ExAcquireFastMutex(&Mutex);
#endif
    for (Link = Processes.Flink; Link != &Processes; Link = Link->Flink)
        if (CONTAINING_RECORD(Link, PROCESS, Link)->ParentId == ParentId)
            Count++;
#ifdef MENDED
    ExReleaseFastMutex(&Mutex);
#endif
    return Count;
}

static VOID NTAPI OnProcess(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    if (Create) {
        LOG("process %p is child number %u of %p\n", ProcessId, CountSiblings(ParentId) + 1, ParentId);
        Insert(ProcessId, ParentId);
    } else {
        Remove(ProcessId);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    while (!IsListEmpty(&Processes))
        Free(CONTAINING_RECORD(RemoveHeadList(&Processes), PROCESS, Link));
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    InitializeListHead(&Processes);
    ExInitializeFastMutex(&Mutex);
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
