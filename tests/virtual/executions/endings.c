/* Processes that drivers end, and waits for handles. */
#include <ntifs.h>
#include "driver_case.h"

NTSYSAPI NTSTATUS NTAPI ZwQueryInformationThread(HANDLE Thread, THREADINFOCLASS Class, PVOID Information, ULONG Length,
                                                 PULONG Needed);

NTKERNELAPI PCHAR NTAPI PsGetProcessImageFileName(PEPROCESS Process);

#define EXIT_STATUS ((NTSTATUS)0xC0000022)

static HANDLE Ended, Other;
static PETHREAD Thread;

static HANDLE OpenObject(PVOID Object, POBJECT_TYPE Type)
{
    HANDLE Handle = NULL;
    NTSTATUS Status = ObOpenObjectByPointer(Object, OBJ_KERNEL_HANDLE, NULL, 1, Type, KernelMode, &Handle);

    if (!NT_SUCCESS(Status))
        DbgPrint("not opened %x\n", Status);
    return Handle;
}

static NTSTATUS EndProcess(HANDLE ProcessId, NTSTATUS ExitStatus)
{
    NTSTATUS Status;
    PEPROCESS Process;
    HANDLE Handle;

    Status = PsLookupProcessByProcessId(ProcessId, &Process);
    if (!NT_SUCCESS(Status))
        return Status;
    Handle = OpenObject(Process, *PsProcessType);
    Status = ZwTerminateProcess(Handle, ExitStatus);
    ZwClose(Handle);
    ObDereferenceObject(Process);
    return Status;
}

static VOID SaysEnd(HANDLE ProcessId)
{
    PEPROCESS Process;

    if (NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process))) {
        DbgPrint("exit with %x\n", PsGetProcessExitStatus(Process));
        ObDereferenceObject(Process);
    }
}

static BOOLEAN IsNotepad(HANDLE ProcessId)
{
    BOOLEAN Is = FALSE;
    PEPROCESS Process;

    if (NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process))) {
        Is = strcmp((const char *)PsGetProcessImageFileName(Process), "notepad.exe") == 0;
        ObDereferenceObject(Process);
    }
    return Is;
}

/* Ends notepad while it is being created, as drivers do that allow only some programs. */

static VOID NTAPI EndsAtCreation(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    if (!IsNotepad(ProcessId))
        return;
    if (Create)
        DbgPrint("create, ended %x, again %x\n", EndProcess(ProcessId, EXIT_STATUS), EndProcess(ProcessId, 1));
    else
        SaysEnd(ProcessId);
}

static VOID SaysThreads(HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Found;

    if (!NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Found)))
        return;
    if (IsNotepad(PsGetThreadProcessId(Found)))
        DbgPrint(Create ? "thread\n" : "thread gone\n");
    ObDereferenceObject(Found);
}

static NTSTATUS WatchesCreation(VOID)
{
    return PsSetCreateProcessNotifyRoutine(EndsAtCreation, FALSE);
}

static VOID StopsWatchingCreation(VOID)
{
    PsSetCreateProcessNotifyRoutine(EndsAtCreation, TRUE);
}

/* Ends notepad from a work item, and waits there for its end. */

static VOID NTAPI EndsLater(PVOID Parameter)
{
    LARGE_INTEGER Short = {.QuadPart = MILLISECONDS(0)}, Long = {.QuadPart = MILLISECONDS(5000)};
    PEPROCESS Process;
    HANDLE Handle;
    NTSTATUS First, Status;

    UNREFERENCED_PARAMETER(Parameter);
    Sleep(100);
    if (!NT_SUCCESS(PsLookupProcessByProcessId(Ended, &Process)))
        return;
    Handle = OpenObject(Process, *PsProcessType);
    First = ZwWaitForSingleObject(Handle, FALSE, &Short);
    DbgPrint("status %x, waited %x\n", PsGetProcessExitStatus(Process), First);
    Status = ZwTerminateProcess(Handle, EXIT_STATUS);
    First = ZwWaitForSingleObject(Handle, FALSE, &Long);
    DbgPrint("ended %x, waited %x, status %x\n", Status, First, PsGetProcessExitStatus(Process));
    DbgPrint("again %x\n", ZwTerminateProcess(Handle, EXIT_STATUS));
    ZwClose(Handle);
    ObDereferenceObject(Process);
    KeSetEvent(&Event, 0, FALSE);
}

static VOID NTAPI QueuesEnd(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ParentId);
    if (Create && IsNotepad(ProcessId)) {
        Ended = ProcessId;
        ExInitializeWorkItem(&WorkItem, EndsLater, NULL);
        ExQueueWorkItem(&WorkItem, DelayedWorkQueue);
    }
}

static NTSTATUS WatchesForLater(VOID)
{
    return PsSetCreateProcessNotifyRoutine(QueuesEnd, FALSE);
}

static VOID StopsWatchingForLater(VOID)
{
    PsSetCreateProcessNotifyRoutine(QueuesEnd, TRUE);
    WaitFor(&Event);
}

/* Wrong: ends the process of the thread that is in its callback. */

static VOID EndsOwnProcess(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (Create && PsGetCurrentProcessId() != (HANDLE)4)
        ZwTerminateProcess(NtCurrentProcess(), EXIT_STATUS);
}

/* Wrong: ends the process that it attached to as if its thread were one of it. */

static VOID NTAPI AttachesAndEnds(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    KAPC_STATE State;
    PEPROCESS Process;

    UNREFERENCED_PARAMETER(ParentId);
    if (!Create || !NT_SUCCESS(PsLookupProcessByProcessId(ProcessId, &Process)))
        return;
    KeStackAttachProcess(Process, &State);
    ZwTerminateProcess(NtCurrentProcess(), EXIT_STATUS);
    KeUnstackDetachProcess(&State);
    ObDereferenceObject(Process);
}

static NTSTATUS AttachesToEach(VOID)
{
    return PsSetCreateProcessNotifyRoutine(AttachesAndEnds, FALSE);
}

/* Wrong: csrss.exe is critical. */

static NTSTATUS EndsCritical(VOID)
{
    ULONG ProcessId;
    PEPROCESS Process;

    for (ProcessId = 8; ProcessId < 4096; ProcessId += 4) {
        if (!NT_SUCCESS(PsLookupProcessByProcessId(ULongToHandle(ProcessId), &Process)))
            continue;
        if (strcmp((const char *)PsGetProcessImageFileName(Process), "csrss.exe") == 0)
            EndProcess(ULongToHandle(ProcessId), EXIT_STATUS);
        ObDereferenceObject(Process);
    }
    return STATUS_SUCCESS;
}

/* Waits for handles: of a thread, an event, with and without an end. */

static VOID NTAPI WaitsForHandle(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("event %x\n", ZwWaitForSingleObject(Other, FALSE, NULL));
    PsTerminateSystemThread(STATUS_ALERTED);
}

static NTSTATUS WaitsForHandles(VOID)
{
    LARGE_INTEGER Timeout = {.QuadPart = MILLISECONDS(50)};
    NTSTATUS Status = ZwCreateEvent(&Other, EVENT_ALL_ACCESS, NULL, SynchronizationEvent, FALSE);
    ULONG Before = Now();

    NTSTATUS Late = ZwWaitForSingleObject(Other, FALSE, &Timeout);

    DbgPrint("created %x, late %x after %u ms, bad %x\n", Status, Late, Now() - Before,
             ZwWaitForSingleObject((HANDLE)0x1234, FALSE, &Timeout));
    return StartThread(WaitsForHandle, &Thread);
}

static VOID SignalsHandle(VOID)
{
    HANDLE Handle = OpenObject(Thread, *PsThreadType);
    PVOID Start = NULL;
    ULONG64 Basic[6];
    LONG Previous = 7;
    NTSTATUS Status;

    Status = ZwQueryInformationThread(Handle, ThreadQuerySetWin32StartAddress, &Start, sizeof Start, NULL);
    DbgPrint("%x %x, starts there %u\n", PsGetThreadExitStatus(Thread), Status,
             Start == (PVOID)(ULONG_PTR)WaitsForHandle);
    Status = ZwSetEvent(Other, &Previous);
    DbgPrint("set %x, was %u, thread %x\n", Status, Previous, ZwWaitForSingleObject(Handle, FALSE, NULL));
    Status = ZwQueryInformationThread(Handle, ThreadBasicInformation, Basic, sizeof Basic, NULL);
    DbgPrint("%x %x %x, own thread %u\n", Status, PsGetThreadExitStatus(Thread), (NTSTATUS)Basic[0],
             (HANDLE)Basic[3] == PsGetThreadId(Thread));
    ZwClose(Handle);
    ZwClose(Other);
    ObDereferenceObject(Thread);
}

/* Where the threads of a new process start: in its program, and in ntdll. */

static VOID SaysStart(HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Found;
    HANDLE Handle;
    PVOID Start = NULL;

    if (!Create || PsGetCurrentProcessId() == (HANDLE)4 || !NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Found)))
        return;
    Handle = OpenObject(Found, *PsThreadType);
    ZwQueryInformationThread(Handle, ThreadQuerySetWin32StartAddress, &Start, sizeof Start, NULL);
    if (InterlockedIncrement(&Calls) == 1)
        DbgPrint("in the program %u\n", (ULONG_PTR)Start >> 36 == 0x7FF);
    ZwClose(Handle);
    ObDereferenceObject(Found);
}

const DRIVER_CASE EndingCases[] = {
    {.Name = L"ends-at-creation", .Entry = WatchesCreation, .Callback = SaysThreads, .Unload = StopsWatchingCreation},
    {.Name = L"ends-from-work-item", .Entry = WatchesForLater, .Unload = StopsWatchingForLater},
    {.Name = L"ends-own-process", .Callback = EndsOwnProcess},
    {.Name = L"ends-attached-process", .Entry = AttachesToEach},
    {.Name = L"ends-critical-process", .Entry = EndsCritical},
    {.Name = L"waits-for-handles", .Entry = WaitsForHandles, .Unload = SignalsHandle},
    {.Name = L"says-where-threads-start", .Callback = SaysStart},
    {.Name = NULL},
};
