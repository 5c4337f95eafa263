/*
 * procnotify.sys: reports every process, thread and image notification as one line of debugger output.
 *
 * The grammar of the lines is public (docs/architecture.md); {seq t cpu by} is this driver's own tail.
 */
#include "print.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD DriverUnload;

/* How many events of each kind were reported. */
static struct {
    volatile LONG ProcessCreate;
    volatile LONG ProcessExit;
    volatile LONG ThreadCreate;
    volatile LONG ThreadExit;
    volatile LONG ImageLoad;
} Totals;

/* Callbacks that are running now, see WaitForCallbacks. */
static volatile LONG Running;

static STAMP EnterCallback(VOID)
{
    InterlockedIncrement(&Running);
    return TakeStamp();
}

static VOID LeaveCallback(VOID)
{
    InterlockedDecrement(&Running);
}

static VOID NTAPI OnProcessNotify(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    const STAMP Stamp = EnterCallback();

    if (Create) {
        InterlockedIncrement(&Totals.ProcessCreate);
        PRINT_LINE(Stamp, "%s PPID(%u) created PID(%u)", __FUNCTION__, HandleToULong(ParentId),
            HandleToULong(ProcessId));
    } else {
        InterlockedIncrement(&Totals.ProcessExit);
        PRINT_LINE(Stamp, "%s PID(%u) was terminated", __FUNCTION__, HandleToULong(ProcessId));
    }
    LeaveCallback();
}

/* May run at APC_LEVEL: nothing pageable, no Unicode. Creation is reported in the creating thread. */
static VOID NTAPI OnThreadNotify(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    const STAMP Stamp = EnterCallback();

    if (Create) {
        InterlockedIncrement(&Totals.ThreadCreate);
        PRINT_LINE(Stamp, "%s TID(%u) was created in PID(%u) by PID(%u)", __FUNCTION__, HandleToULong(ThreadId),
            HandleToULong(ProcessId), Stamp.ProcessId);
    } else {
        InterlockedIncrement(&Totals.ThreadExit);
        PRINT_LINE(Stamp, "%s TID(%u) in PID(%u) was terminated", __FUNCTION__, HandleToULong(ThreadId),
            HandleToULong(ProcessId));
    }
    LeaveCallback();
}

/* ProcessId 0 is a driver. */
static VOID NTAPI OnImageNotify(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    const STAMP Stamp = EnterCallback();

    InterlockedIncrement(&Totals.ImageLoad);
    PrintImageLine(&Stamp, __FUNCTION__, HandleToULong(ProcessId), FullImageName, ImageInfo->ImageBase,
        ImageInfo->ImageSize);
    LeaveCallback();
}

static NTSTATUS SetProcess(VOID)
{
    return PsSetCreateProcessNotifyRoutine(OnProcessNotify, FALSE);
}

static NTSTATUS RemoveProcess(VOID)
{
    return PsSetCreateProcessNotifyRoutine(OnProcessNotify, TRUE);
}

static NTSTATUS SetThread(VOID)
{
    return PsSetCreateThreadNotifyRoutine(OnThreadNotify);
}

static NTSTATUS RemoveThread(VOID)
{
    return PsRemoveCreateThreadNotifyRoutine(OnThreadNotify);
}

static NTSTATUS SetImage(VOID)
{
    return PsSetLoadImageNotifyRoutine(OnImageNotify);
}

static NTSTATUS RemoveImage(VOID)
{
    return PsRemoveLoadImageNotifyRoutine(OnImageNotify);
}

/* In the order of registration; undone from the end. */
static const struct {
    NTSTATUS (*Set)(VOID);
    PCSTR SetRoutine;
    NTSTATUS (*Remove)(VOID);
    PCSTR RemoveRoutine;
} Callbacks[] = {
    {SetProcess, "PsSetCreateProcessNotifyRoutine", RemoveProcess, "PsSetCreateProcessNotifyRoutine"},
    {SetThread, "PsSetCreateThreadNotifyRoutine", RemoveThread, "PsRemoveCreateThreadNotifyRoutine"},
    {SetImage, "PsSetLoadImageNotifyRoutine", RemoveImage, "PsRemoveLoadImageNotifyRoutine"},
};

static VOID PrintStatus(PCSTR Function, PCSTR Routine, NTSTATUS Status)
{
    const STAMP Stamp = TakeStamp();

    if (NT_SUCCESS(Status))
        PRINT_LINE(Stamp, "%s %s success", Function, Routine);
    else
        PRINT_LINE(Stamp, "%s - %s failed (status: 0x%x)", Function, Routine, Status);
}

/*
 * Windows lets a Remove routine return only after running callbacks have ended; ReactOS does not wait. The
 * driver's code is freed right after unload, so one more delay covers a callback's last few instructions.
 */
static VOID WaitForCallbacks(VOID)
{
    LARGE_INTEGER Delay;
    BOOLEAN Idle;

    Delay.QuadPart = -10 * 1000; /* 1 ms, relative */
    do {
        Idle = InterlockedCompareExchange(&Running, 0, 0) == 0;
        KeDelayExecutionThread(KernelMode, FALSE, &Delay);
    } while (!Idle);
}

static VOID RemoveCallbacks(PCSTR Function, ULONG Count)
{
    while (Count-- > 0)
        PrintStatus(Function, Callbacks[Count].RemoveRoutine, Callbacks[Count].Remove());
    WaitForCallbacks();
}

VOID NTAPI DriverUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);

    RemoveCallbacks(__FUNCTION__, RTL_NUMBER_OF(Callbacks));

    const STAMP Stamp = TakeStamp();
    PRINT_LINE(Stamp, "%s totals process_create=%u process_exit=%u thread_create=%u thread_exit=%u image_load=%u",
        __FUNCTION__, Totals.ProcessCreate, Totals.ProcessExit, Totals.ThreadCreate, Totals.ThreadExit,
        Totals.ImageLoad);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);

    DriverObject->DriverUnload = DriverUnload;
    for (ULONG i = 0; i < RTL_NUMBER_OF(Callbacks); ++i) {
        const NTSTATUS Status = Callbacks[i].Set();

        PrintStatus(__FUNCTION__, Callbacks[i].SetRoutine, Status);
        if (!NT_SUCCESS(Status)) {
            RemoveCallbacks(__FUNCTION__, i);
            return Status;
        }
    }
    return STATUS_SUCCESS;
}
