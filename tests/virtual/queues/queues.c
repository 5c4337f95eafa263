/*
 * Requests in a cancel-safe queue. Tests: tests/virtual/kernel/test_cancel_safe_queues.py. The registry path's end says
 * which queue: "queued" is right; "circular" shows the same request again and again, which is wrong.
 */
#include <ntddk.h>

#define CODE(n) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + (n), METHOD_BUFFERED, FILE_ANY_ACCESS)
enum { WAIT, NEXT, REMEMBER, REMEMBERED, REFUSED };

static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Queued");
static PDEVICE_OBJECT Device;
static IO_CSQ Queue, Choosy;
static IO_CSQ_IRP_CONTEXT Remembered;
static LIST_ENTRY Waiting;
static KSPIN_LOCK Lock;
static BOOLEAN Circular;

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI Insert(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    DbgPrint("insert at irql %u\n", KeGetCurrentIrql());
    InsertTailList(&Waiting, &Irp->Tail.Overlay.ListEntry);
}

static NTSTATUS NTAPI InsertChoosy(PIO_CSQ Csq, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Csq);
    UNREFERENCED_PARAMETER(Irp);
    return Context == &Choosy ? STATUS_DEVICE_BUSY : STATUS_SUCCESS;
}

static VOID NTAPI Remove(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
}

static PIRP NTAPI Peek(PIO_CSQ Csq, PIRP Irp, PVOID Context)
{
    PLIST_ENTRY Entry = Irp == NULL ? Waiting.Flink : Irp->Tail.Overlay.ListEntry.Flink;

    UNREFERENCED_PARAMETER(Csq);
    UNREFERENCED_PARAMETER(Context);
    if (Circular) {
        Irp = CONTAINING_RECORD(Waiting.Flink, IRP, Tail.Overlay.ListEntry);
        IoSetCancelRoutine(Irp, NULL);
        return Irp;
    }
    return Entry == &Waiting ? NULL : CONTAINING_RECORD(Entry, IRP, Tail.Overlay.ListEntry);
}

static VOID NTAPI Acquire(PIO_CSQ Csq, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&Lock, Irql);
}

static VOID NTAPI Release(PIO_CSQ Csq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&Lock, Irql);
}

static VOID NTAPI Cancelled(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    DbgPrint("cancelled at irql %u\n", KeGetCurrentIrql());
    Complete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS Pass(PIRP Irp, PIRP Found)
{
    if (Found == NULL)
        return Complete(Irp, STATUS_NO_MORE_ENTRIES, 0);
    Complete(Found, STATUS_SUCCESS, 1);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT Asked, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Asked);
    if (Location->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return Complete(Irp, STATUS_SUCCESS, 0);
    switch (Location->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(WAIT):
        IoCsqInsertIrp(&Queue, Irp, NULL);
        return STATUS_PENDING;
    case CODE(REMEMBER):
        IoCsqInsertIrp(&Queue, Irp, &Remembered);
        return STATUS_PENDING;
    case CODE(NEXT):
        return Pass(Irp, IoCsqRemoveNextIrp(&Queue, NULL));
    case CODE(REMEMBERED):
        return Pass(Irp, IoCsqRemoveIrp(&Queue, &Remembered));
    case CODE(REFUSED):
        Status = IoCsqInsertIrpEx(&Choosy, Irp, NULL, &Choosy);
        return Complete(Irp, Status, 0);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Queued");

    Circular = Path->Buffer[Path->Length / sizeof(WCHAR) - 1] == L'r';
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_CREATE] = Driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    InitializeListHead(&Waiting);
    KeInitializeSpinLock(&Lock);
    IoCsqInitialize(&Queue, Insert, Remove, Peek, Acquire, Release, Cancelled);
    IoCsqInitializeEx(&Choosy, InsertChoosy, Remove, Peek, Acquire, Release, Cancelled);
    IoCreateDevice(Driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    IoCreateSymbolicLink(&Link, &Name);
    return STATUS_SUCCESS;
}
