#include "callbacks.h"
#include "print.h"

EVENT_TOTALS EventTotals;

static volatile LONG Running;

static STAMP EnterCallback(volatile LONG *Total)
{
    InterlockedIncrement(&Running);
    InterlockedIncrement(Total);
    return TakeStamp();
}

static VOID LeaveCallback(VOID)
{
    InterlockedDecrement(&Running);
}

VOID NTAPI OnProcessNotify(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    const STAMP Stamp = EnterCallback(Create ? &EventTotals.ProcessCreate : &EventTotals.ProcessExit);

    if (Create)
        PRINT_LINE(Stamp, __FUNCTION__ " PPID(%u) created PID(%u)", HandleToULong(ParentId),
            HandleToULong(ProcessId));
    else
        PRINT_LINE(Stamp, __FUNCTION__ " PID(%u) was terminated", HandleToULong(ProcessId));
    LeaveCallback();
}

/* May run at APC_LEVEL: for a creation in the thread that creates, for an exit in the thread that ends. */
VOID NTAPI OnThreadNotify(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    const STAMP Stamp = EnterCallback(Create ? &EventTotals.ThreadCreate : &EventTotals.ThreadExit);

    if (Create)
        PRINT_LINE(Stamp, __FUNCTION__ " TID(%u) was created in PID(%u) by PID(%u)", HandleToULong(ThreadId),
            HandleToULong(ProcessId), Stamp.ProcessId);
    else
        PRINT_LINE(Stamp, __FUNCTION__ " TID(%u) in PID(%u) was terminated", HandleToULong(ThreadId),
            HandleToULong(ProcessId));
    LeaveCallback();
}

/* ProcessId 0 is a driver. */
VOID NTAPI OnImageNotify(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    const STAMP Stamp = EnterCallback(&EventTotals.ImageLoad);

    PrintImageLine(&Stamp, __FUNCTION__, HandleToULong(ProcessId), FullImageName, ImageInfo->ImageBase,
        ImageInfo->ImageSize);
    LeaveCallback();
}

/*
 * Windows lets a Remove routine return only after running callbacks have ended; ReactOS does not wait. The
 * driver's code is freed right after its unload, so one more delay covers a callback's last few instructions.
 */
VOID WaitForCallbacks(VOID)
{
    LARGE_INTEGER Delay;
    BOOLEAN Idle;

    Delay.QuadPart = -10 * 1000; /* 1 ms from now, in units of 100 ns */
    do {
        Idle = InterlockedCompareExchange(&Running, 0, 0) == 0;
        KeDelayExecutionThread(KernelMode, FALSE, &Delay);
    } while (!Idle);
}
