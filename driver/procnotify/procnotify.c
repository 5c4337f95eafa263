/*
 * procnotify.sys: reports every process, thread and image notification as one line of debugger output.
 *
 * The grammar of the lines is public (docs/architecture.md); the tail {seq t cpu by} is this driver's own.
 */
#include "callbacks.h"
#include "print.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD DriverUnload;

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
} Registrations[] = {
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

/* Undoes the first Count registrations, the last one first. */
static VOID RemoveCallbacks(PCSTR Function, ULONG Count)
{
    while (Count-- > 0)
        PrintStatus(Function, Registrations[Count].RemoveRoutine, Registrations[Count].Remove());
    WaitForCallbacks();
}

VOID NTAPI DriverUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);

    RemoveCallbacks(__FUNCTION__, RTL_NUMBER_OF(Registrations));

    /* The last line: whoever counted the lines before it knows now whether one was lost. */
    const STAMP Stamp = TakeStamp();
    PRINT_LINE(Stamp,
        __FUNCTION__ " totals process_create=%u process_exit=%u thread_create=%u thread_exit=%u"
                     " image_load=%u",
        EventTotals.ProcessCreate, EventTotals.ProcessExit, EventTotals.ThreadCreate, EventTotals.ThreadExit,
        EventTotals.ImageLoad);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);

    DriverObject->DriverUnload = DriverUnload;
    for (ULONG i = 0; i < RTL_NUMBER_OF(Registrations); ++i) {
        const NTSTATUS Status = Registrations[i].Set();

        PrintStatus(__FUNCTION__, Registrations[i].SetRoutine, Status);
        if (!NT_SUCCESS(Status)) {
            RemoveCallbacks(__FUNCTION__, i);
            return Status;
        }
    }
    return STATUS_SUCCESS;
}
