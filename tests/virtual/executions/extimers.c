/* Timers that the kernel allocates. */
#include "driver_case.h"

static PEX_TIMER ExTimer;
static NTSTATUS Deleted;

static VOID NTAPI Ticks(PEX_TIMER Self, PVOID Context)
{
    if (++Calls > 3)
        return;
    if (Calls == 3)
        KeSetEvent((PKEVENT)Context, 0, FALSE);
    DbgPrint("tick of its own %u at irql %u\n", Self == ExTimer, KeGetCurrentIrql());
}

static VOID NTAPI SaysDeleted(PVOID Context)
{
    DbgPrint("deleted %u at irql %u\n", Context == &Deleted, KeGetCurrentIrql());
}

static NTSTATUS StartsTicks(VOID)
{
    ExTimer = ExAllocateTimer(Ticks, &Event, EX_TIMER_HIGH_RESOLUTION);
    if (ExTimer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    DbgPrint("set before %u\n", ExSetTimer(ExTimer, MILLISECONDS(20), 10 * 10000, NULL));
    WaitFor(&Event);
    return STATUS_SUCCESS;
}

static VOID DeletesTicks(VOID)
{
    EXT_DELETE_PARAMETERS Parameters;

    ExInitializeDeleteTimerParameters(&Parameters);
    Parameters.DeleteCallback = SaysDeleted;
    Parameters.DeleteContext = &Deleted;
    DbgPrint("cancelled %u\n", ExDeleteTimer(ExTimer, TRUE, TRUE, &Parameters));
}

/* Waited for, without a routine; set again and cancelled. */

static NTSTATUS WaitsForExTimer(VOID)
{
    ULONG Before = Now();
    BOOLEAN First, Again, Cancelled;
    NTSTATUS Status;

    ExTimer = ExAllocateTimer(NULL, NULL, 0);
    ExSetTimer(ExTimer, MILLISECONDS(30), 0, NULL);
    Status = WaitFor(ExTimer);
    DbgPrint("waited %x for %u ms, again %x\n", Status, Now() - Before, WaitAtMost(ExTimer, 10));
    First = ExSetTimer(ExTimer, MILLISECONDS(5000), 0, NULL);
    Again = ExSetTimer(ExTimer, MILLISECONDS(5000), 0, NULL);
    Cancelled = ExCancelTimer(ExTimer, NULL);
    DbgPrint("set %u %u, cancelled %u %u", First, Again, Cancelled, ExCancelTimer(ExTimer, NULL));
    DbgPrint(", deleted %u\n", ExDeleteTimer(ExTimer, TRUE, FALSE, NULL));
    return STATUS_SUCCESS;
}

/* Deleted in its own routine, and without being cancelled: it expires once more. */

static VOID NTAPI DeletesItself(PEX_TIMER Self, PVOID Context)
{
    BOOLEAN Cancelled = ExDeleteTimer(Self, TRUE, FALSE, NULL);

    DbgPrint("itself: cancelled %u, set %u\n", Cancelled, ExSetTimer(Self, MILLISECONDS(1), 0, NULL));
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

static VOID NTAPI SaysLast(PEX_TIMER Self, PVOID Context)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("last tick\n");
}

static NTSTATUS DeletesEarly(VOID)
{
    PEX_TIMER Last = ExAllocateTimer(SaysLast, NULL, 0);

    ExTimer = ExAllocateTimer(DeletesItself, &Event, 0);
    ExSetTimer(ExTimer, MILLISECONDS(10), 10 * 10000, NULL);
    ExSetTimer(Last, MILLISECONDS(40), 10 * 10000, NULL);
    WaitFor(&Event);
    DbgPrint("left set %u\n", ExDeleteTimer(Last, FALSE, FALSE, NULL));
    Sleep(100);
    return STATUS_SUCCESS;
}

/* Deleted while its routine runs: the wait is for its end. */

static VOID NTAPI IsBusy(PEX_TIMER Self, PVOID Context)
{
    UNREFERENCED_PARAMETER(Self);
    KeSetEvent((PKEVENT)Context, 0, FALSE);
    KeStallExecutionProcessor(5000);
    Stop = 1;
}

static NTSTATUS DeletesBusy(VOID)
{
    BOOLEAN Cancelled;

    ExTimer = ExAllocateTimer(IsBusy, &Event, 0);
    ExSetTimer(ExTimer, MILLISECONDS(10), 0, NULL);
    WaitFor(&Event);
    Cancelled = ExDeleteTimer(ExTimer, TRUE, TRUE, NULL);
    DbgPrint("cancelled %u, ended %u\n", Cancelled, Stop);
    return STATUS_SUCCESS;
}

/* Wrong: unloads while its timer is set; or forgets to delete one that is not. */

static VOID LeavesExTimer(VOID)
{
    ExTimer = ExAllocateTimer(Ticks, &Event, 0);
    ExSetTimer(ExTimer, MILLISECONDS(10), 0, NULL);
}

static VOID ForgetsExTimer(VOID)
{
    ExTimer = ExAllocateTimer(Ticks, &Event, 0);
}

/* Wrong: waits in a timer's routine for that routine to return. */

static VOID NTAPI WaitsForItself(PEX_TIMER Self, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    ExDeleteTimer(Self, TRUE, TRUE, NULL);
}

static NTSTATUS DeletesAtDispatch(VOID)
{
    ExTimer = ExAllocateTimer(WaitsForItself, NULL, 0);
    ExSetTimer(ExTimer, MILLISECONDS(10), 0, NULL);
    return STATUS_SUCCESS;
}

const DRIVER_CASE ExTimerCases[] = {
    {.Name = L"ticks-by-ex-timer", .Entry = StartsTicks, .Unload = DeletesTicks},
    {.Name = L"waits-for-ex-timer", .Entry = WaitsForExTimer},
    {.Name = L"deletes-ex-timer-early", .Entry = DeletesEarly},
    {.Name = L"deletes-busy-ex-timer", .Entry = DeletesBusy},
    {.Name = L"leaves-ex-timer", .Unload = LeavesExTimer},
    {.Name = L"forgets-ex-timer", .Unload = ForgetsExTimer},
    {.Name = L"waits-in-ex-timer", .Entry = DeletesAtDispatch},
    {.Name = NULL},
};
