/* APCs and alerts. */
#include "driver_case.h"

/* Exported, and declared in no header of the WDK. */
typedef VOID(NTAPI *NORMAL_ROUTINE)(PVOID Context, PVOID First, PVOID Second);
typedef VOID(NTAPI *KERNEL_ROUTINE)(PKAPC Apc, NORMAL_ROUTINE *Normal, PVOID *Context, PVOID *First, PVOID *Second);
typedef VOID(NTAPI *RUNDOWN_ROUTINE)(PKAPC Apc);
NTKERNELAPI VOID NTAPI KeInitializeApc(
    PKAPC Apc, PETHREAD Thread, ULONG Environment, KERNEL_ROUTINE Kernel, RUNDOWN_ROUTINE Rundown,
    NORMAL_ROUTINE Normal, ULONG Mode, PVOID Context);
NTKERNELAPI BOOLEAN NTAPI KeInsertQueueApc(PKAPC Apc, PVOID First, PVOID Second, LONG Increment);
NTKERNELAPI BOOLEAN NTAPI KeAlertThread(PETHREAD Thread, ULONG Mode);
NTKERNELAPI BOOLEAN NTAPI KeTestAlertThread(ULONG Mode);

static PETHREAD Target;
static KAPC Special, Normal;

static VOID NTAPI OnSpecial(PKAPC Apc, NORMAL_ROUTINE *Routine, PVOID *Context, PVOID *First, PVOID *Second)
{
    UNREFERENCED_PARAMETER(Apc);
    UNREFERENCED_PARAMETER(Routine);
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("special %p %p at irql %u, at home %u\n", *First, *Second, KeGetCurrentIrql(),
             Target == PsGetCurrentThread());
}

static VOID NTAPI BeforeNormal(PKAPC Apc, NORMAL_ROUTINE *Routine, PVOID *Context, PVOID *First, PVOID *Second)
{
    UNREFERENCED_PARAMETER(Apc);
    UNREFERENCED_PARAMETER(Routine);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    *Second = (PVOID)(ULONG_PTR)(0x20 + KeGetCurrentIrql());
}

static VOID NTAPI OnNormal(PVOID Context, PVOID First, PVOID Second)
{
    DbgPrint("normal %p %p %p at irql %u, at home %u\n", Context, First, Second, KeGetCurrentIrql(),
             Target == PsGetCurrentThread());
}

static VOID NTAPI OnRundown(PKAPC Apc)
{
    UNREFERENCED_PARAMETER(Apc);
    if (InterlockedIncrement(&Calls) == 1)
        DbgPrint("run down\n");
}

static VOID Queue(PETHREAD Thread, PVOID Number)
{
    Target = Thread;
    KeInitializeApc(&Special, Thread, 0, OnSpecial, NULL, NULL, KernelMode, NULL);
    KeInitializeApc(&Normal, Thread, 0, BeforeNormal, OnRundown, OnNormal, KernelMode, (PVOID)1);
    if (!KeInsertQueueApc(&Normal, Number, NULL, 0) || !KeInsertQueueApc(&Special, Number, (PVOID)2, 0))
        DbgPrint("not queued\n");
}

/* A thread that waits is taken out of its wait, and waits again. */

static VOID NTAPI WaitingThread(PVOID Context)
{
    NTSTATUS Status = WaitFor(Context);

    DbgPrint("waited %x\n", Status);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS InterruptsWait(VOID)
{
    PETHREAD Thread;
    NTSTATUS Status = StartThread(WaitingThread, &Thread);

    if (!NT_SUCCESS(Status))
        return Status;
    Sleep(10);
    Queue(Thread, (PVOID)7);
    Sleep(10);
    DbgPrint("setting\n");
    KeSetEvent(&Event, 0, FALSE);
    WaitFor(Thread);
    DbgPrint("ended, queued %u\n", KeInsertQueueApc(&Special, NULL, NULL, 0));
    ObDereferenceObject(Thread);
    return STATUS_SUCCESS;
}

/* One that sleeps sleeps as long as it was to. */

static VOID NTAPI SleepingThread(PVOID Context)
{
    ULONG Before = Now();

    UNREFERENCED_PARAMETER(Context);
    Sleep(50);
    DbgPrint("slept %u ms\n", Now() - Before);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS InterruptsSleep(VOID)
{
    PETHREAD Thread;
    NTSTATUS Status = StartThread(SleepingThread, &Thread);

    if (!NT_SUCCESS(Status))
        return Status;
    Sleep(10);
    Queue(Thread, (PVOID)7);
    WaitFor(Thread);
    ObDereferenceObject(Thread);
    return STATUS_SUCCESS;
}

/* What holds them off. */

static VOID Says(PCSTR Where)
{
    DbgPrint("%s: %u %u\n", Where, KeAreApcsDisabled(), KeAreAllApcsDisabled());
}

static NTSTATUS HoldsOff(VOID)
{
    KIRQL Old;

    Queue(PsGetCurrentThread(), (PVOID)1);
    Says("nowhere");
    KeEnterCriticalRegion();
    Queue(PsGetCurrentThread(), (PVOID)2);
    Says("critical region");
    KeLeaveCriticalRegion();
    KeEnterGuardedRegion();
    Queue(PsGetCurrentThread(), (PVOID)3);
    Says("guarded region");
    KeLeaveGuardedRegion();
    KeRaiseIrql(APC_LEVEL, &Old);
    Queue(PsGetCurrentThread(), (PVOID)4);
    Says("APC_LEVEL");
    KeLowerIrql(Old);
    WaitFor(&Mutex);
    Queue(PsGetCurrentThread(), (PVOID)5);
    Says("mutex");
    KeReleaseMutex(&Mutex, FALSE);
    return STATUS_SUCCESS;
}

/* Alerts, and user APCs, end alertable waits. */

static NTSTATUS WaitAlertably(KPROCESSOR_MODE Mode, BOOLEAN Alertable)
{
    LARGE_INTEGER Timeout = {.QuadPart = MILLISECONDS(30)};

    return KeWaitForSingleObject(&Event, Executive, Mode, Alertable, &Timeout);
}

static VOID NTAPI AlertableThread(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("waited %x at %u\n", WaitAlertably(KernelMode, TRUE), Stop);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS Alerts(VOID)
{
    LARGE_INTEGER Interval = {.QuadPart = MILLISECONDS(5)};
    PETHREAD Thread, Self = PsGetCurrentThread();
    NTSTATUS Status = StartThread(AlertableThread, &Thread);

    if (!NT_SUCCESS(Status))
        return Status;
    Sleep(10);
    Stop = 1;
    KeAlertThread(Thread, KernelMode);
    WaitFor(Thread);
    ObDereferenceObject(Thread);
    DbgPrint("alerted %u", KeAlertThread(Self, KernelMode));
    DbgPrint(" %u, deaf %x", KeAlertThread(Self, KernelMode), WaitAlertably(KernelMode, FALSE));
    DbgPrint(", delay %x", KeDelayExecutionThread(KernelMode, TRUE, &Interval));
    DbgPrint(" %x", KeDelayExecutionThread(KernelMode, TRUE, &Interval));
    KeAlertThread(Self, KernelMode);
    DbgPrint(", tested %u", KeTestAlertThread(KernelMode));
    DbgPrint(" %u\n", KeTestAlertThread(KernelMode));
    KeInitializeApc(&Normal, Self, 0, BeforeNormal, NULL, OnNormal, UserMode, NULL);
    KeInsertQueueApc(&Normal, NULL, NULL, 0);
    DbgPrint("user %x %x\n", WaitAlertably(UserMode, FALSE), WaitAlertably(UserMode, TRUE));
    return STATUS_SUCCESS;
}

/* A program's threads run them outside driver code. */

static VOID NTAPI InNewThread(PKAPC Apc, NORMAL_ROUTINE *Routine, PVOID *Context, PVOID *First, PVOID *Second)
{
    UNREFERENCED_PARAMETER(Routine);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Second);
    if (*First == PsGetCurrentThreadId())
        InterlockedIncrement(&Inside);
    ExFreePoolWithTag(Apc, TAG);
    InterlockedDecrement(&Calls);
}

static VOID QueuesToNewThread(HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread;
    PKAPC Apc;

    if (!Create || !NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread)))
        return;
    Apc = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Apc), TAG);
    if (Apc != NULL) {
        KeInitializeApc(Apc, Thread, 0, InNewThread, NULL, NULL, KernelMode, NULL);
        InterlockedIncrement(&Calls);
        KeInsertQueueApc(Apc, ThreadId, NULL, 0);
    }
    ObDereferenceObject(Thread);
}

static VOID SaysWhatRan(VOID)
{
    while (Calls != 0)
        Sleep(1);
    Sleep(10); /* the last one returns from the driver's code */
    DbgPrint("ran at home %u, left %u\n", Inside > 3, Calls);
}

/* A thread that ends is told of those that never ran. */

static VOID QueuesToEndingThread(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (!Create && InterlockedIncrement(&Stop) == 1) {
        KeInitializeApc(&Normal, PsGetCurrentThread(), 0, BeforeNormal, OnRundown, OnNormal, KernelMode, NULL);
        KeInsertQueueApc(&Normal, NULL, NULL, 0);
    }
}

/* Wrong: leaves an APC behind. */

static VOID RemembersThread(HANDLE ThreadId, BOOLEAN Create)
{
    PETHREAD Thread;

    if (!Create || !NT_SUCCESS(PsLookupThreadByThreadId(ThreadId, &Thread)))
        return;
    if (Target != NULL)
        ObDereferenceObject(Target);
    Target = Thread;
}

static VOID LeavesApc(VOID)
{
    Queue(Target, NULL);
    ObDereferenceObject(Target);
}

const DRIVER_CASE ApcCases[] = {
    {.Name = L"interrupts-wait", .Entry = InterruptsWait},
    {.Name = L"interrupts-sleep", .Entry = InterruptsSleep},
    {.Name = L"holds-off", .Entry = HoldsOff},
    {.Name = L"alerts", .Entry = Alerts},
    {.Name = L"queues-to-new-thread", .Callback = QueuesToNewThread, .Unload = SaysWhatRan},
    {.Name = L"queues-to-ending-thread", .Callback = QueuesToEndingThread},
    {.Name = L"leaves-apc", .Callback = RemembersThread, .Unload = LeavesApc},
    {.Name = NULL},
};
