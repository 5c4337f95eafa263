/* What is printed where. */
#include "driver_case.h"

/* Prints through bad pointers, and what the filter hides. */

static NTSTATUS PrintsBadPointers(VOID)
{
    KIRQL Old;

    DbgPrint("returned %x\n", DbgPrint("a <%s>\n", (PCSTR)(ULONG_PTR)0x10));
    DbgPrint("returned %x\n", DbgPrint("a <%wZ>\n", (PUNICODE_STRING)(ULONG_PTR)0x38));
    KeAcquireSpinLock(&SpinLock, &Old);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "hidden %wZ\n", &Driver->DriverName);
    KeReleaseSpinLock(&SpinLock, Old);
    return STATUS_SUCCESS;
}

/* Wrong: prints a wide string from a thread callback, which may come at APC_LEVEL. */

static VOID PrintsWide(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    DbgPrint("%wZ at irql %u\n", &Driver->DriverName, KeGetCurrentIrql());
}

static VOID PrintsWideAtDispatch(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    PrintsWide(ThreadId, Create);
    KeLowerIrql(Old);
}

static VOID PrintsNarrow(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    if (!Create && KeGetCurrentIrql() != PASSIVE_LEVEL)
        MostInside = KeGetCurrentIrql();
}

const DRIVER_CASE PrintCases[] = {
    {.Name = L"prints-bad-pointers", .Entry = PrintsBadPointers},
    {.Name = L"prints-wide", .Callback = PrintsWide},
    {.Name = L"prints-wide-at-dispatch", .Callback = PrintsWideAtDispatch},
    {.Name = L"sees-the-irql", .Callback = PrintsNarrow, .Unload = SaysHowManyOverlapped},
    {.Name = NULL},
};
