/*
 * A driver with a device: what its dispatch routines do is chosen by the control code. Each prints what it saw.
 */
#include <ntifs.h>

#define SAY(...) DbgPrint(__VA_ARGS__)
#define CODE(n) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + (n), METHOD_BUFFERED, FILE_ANY_ACCESS)
#define MILLISECONDS(n) (-(LONGLONG)(n) * 10000)

enum { REVERSE, SLEEP, BY_WORK_ITEM, BY_DPC, NEVER, TWICE, TOUCH, AS_PENDING, CANCELABLE, FAIL, WARN };

C_ASSERT(sizeof(IRP) == 0xD0);
C_ASSERT(FIELD_OFFSET(IRP, Flags) == 0x10 && FIELD_OFFSET(IRP, AssociatedIrp.SystemBuffer) == 0x18);
C_ASSERT(FIELD_OFFSET(IRP, IoStatus.Status) == 0x30 && FIELD_OFFSET(IRP, IoStatus.Information) == 0x38);
C_ASSERT(FIELD_OFFSET(IRP, RequestorMode) == 0x40 && FIELD_OFFSET(IRP, StackCount) == 0x42);
C_ASSERT(FIELD_OFFSET(IRP, CurrentLocation) == 0x43 && FIELD_OFFSET(IRP, CancelRoutine) == 0x68);
C_ASSERT(FIELD_OFFSET(IRP, Tail.Overlay.Thread) == 0x98);
C_ASSERT(FIELD_OFFSET(IRP, Tail.Overlay.CurrentStackLocation) == 0xB8);
C_ASSERT(FIELD_OFFSET(IRP, Tail.Overlay.OriginalFileObject) == 0xC0);
C_ASSERT(sizeof(IO_STACK_LOCATION) == 0x48 && FIELD_OFFSET(IO_STACK_LOCATION, Parameters) == 0x08);
C_ASSERT(FIELD_OFFSET(IO_STACK_LOCATION, DeviceObject) == 0x28);
C_ASSERT(FIELD_OFFSET(IO_STACK_LOCATION, FileObject) == 0x30);
C_ASSERT(sizeof(FILE_OBJECT) == 0xD8 && FIELD_OFFSET(FILE_OBJECT, FileName) == 0x58);
C_ASSERT(FIELD_OFFSET(FILE_OBJECT, Flags) == 0x50);
C_ASSERT(FIELD_OFFSET(DEVICE_OBJECT, ReferenceCount) == 0x04 && FIELD_OFFSET(DEVICE_OBJECT, Flags) == 0x30);
C_ASSERT(FIELD_OFFSET(DEVICE_OBJECT, StackSize) == 0x4C && FIELD_OFFSET(DRIVER_OBJECT, MajorFunction) == 0x70);

static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Tried");
static UNICODE_STRING Alone = RTL_CONSTANT_STRING(L"\\??\\Alone");
static PDEVICE_OBJECT Device, Exclusive;
static PIO_WORKITEM Item;
static PIRP Pended;
static KTIMER Timer;
static KDPC Dpc;
static LONG Inside;
static UCHAR Stored[16];
static ULONG StoredLength;

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI Work(PDEVICE_OBJECT WorkDevice, PVOID Context)
{
    LARGE_INTEGER Delay = { .QuadPart = MILLISECONDS(20) };

    UNREFERENCED_PARAMETER(WorkDevice);
    KeDelayExecutionThread(KernelMode, FALSE, &Delay);
    SAY("completing in %lu\n", HandleToULong(PsGetCurrentProcessId()));
    Complete(Context, STATUS_SUCCESS, 3);
}

static VOID NTAPI OnDpc(PKDPC This, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(This);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    SAY("completing at irql %u\n", KeGetCurrentIrql());
    Complete(Pended, STATUS_SUCCESS, 1);
}

static VOID NTAPI Cancel(PDEVICE_OBJECT CancelDevice, PIRP Irp)
{
    UNREFERENCED_PARAMETER(CancelDevice);
    UNREFERENCED_PARAMETER(Irp);
}

static NTSTATUS Control(PIRP Irp, PIO_STACK_LOCATION Location)
{
    const ULONG Given = Location->Parameters.DeviceIoControl.InputBufferLength;
    const ULONG Room = Location->Parameters.DeviceIoControl.OutputBufferLength;
    PUCHAR Buffer = Irp->AssociatedIrp.SystemBuffer;
    LARGE_INTEGER Time = { .QuadPart = MILLISECONDS(20) };

    switch (Location->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(REVERSE):
        for (ULONG i = 0; i < Given / 2; ++i) {
            const UCHAR Kept = Buffer[i];
            Buffer[i] = Buffer[Given - 1 - i];
            Buffer[Given - 1 - i] = Kept;
        }
        return Complete(Irp, STATUS_SUCCESS, min(Given, Room));
    case CODE(SLEEP):
        SAY("%ld inside\n", InterlockedIncrement(&Inside));
        KeDelayExecutionThread(KernelMode, FALSE, &Time);
        InterlockedDecrement(&Inside);
        return Complete(Irp, STATUS_SUCCESS, 0);
    case CODE(BY_WORK_ITEM):
        IoMarkIrpPending(Irp);
        IoQueueWorkItem(Item, Work, DelayedWorkQueue, Irp);
        return STATUS_PENDING;
    case CODE(BY_DPC):
        IoMarkIrpPending(Irp);
        Pended = Irp;
        Time.QuadPart = MILLISECONDS(30);
        KeSetTimer(&Timer, Time, &Dpc);
        return STATUS_PENDING;
    case CODE(NEVER):
        IoMarkIrpPending(Irp);
        return STATUS_PENDING;
    case CODE(TWICE):
        Complete(Irp, STATUS_SUCCESS, 0);
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return STATUS_SUCCESS;
    case CODE(TOUCH):
        Complete(Irp, STATUS_SUCCESS, 0);
        return Irp->IoStatus.Status;
    case CODE(AS_PENDING):
        return Complete(Irp, STATUS_PENDING, 0);
    case CODE(CANCELABLE):
        IoSetCancelRoutine(Irp, Cancel);
        return Complete(Irp, STATUS_SUCCESS, 0);
    case CODE(FAIL):
        return Complete(Irp, STATUS_UNSUCCESSFUL, Room);
    case CODE(WARN):
        return Complete(Irp, STATUS_BUFFER_OVERFLOW, MAXULONG);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT Asked, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT File = Location->FileObject;
    ULONG Length;

    if (Asked != Location->DeviceObject || File->DeviceObject != Asked || Irp->Type != IO_TYPE_IRP ||
        Irp->Size != sizeof(IRP) + Irp->StackCount * sizeof(IO_STACK_LOCATION) ||
        Irp->CurrentLocation != 1 || Irp->RequestorMode != UserMode || File->Type != IO_TYPE_FILE ||
        Irp->Tail.Overlay.OriginalFileObject != File || Irp->Tail.Overlay.Thread != PsGetCurrentThread())
        SAY("not a request\n");

    switch (Location->MajorFunction) {
    case IRP_MJ_CREATE:
        SAY("create '%wZ' for %lu in %lu at irql %u, %ld open\n", &File->FileName,
            IoGetRequestorProcessId(Irp), HandleToULong(PsGetCurrentProcessId()), KeGetCurrentIrql(),
            Asked->ReferenceCount);
        return Complete(Irp, File->FileName.Length == 0 ? STATUS_SUCCESS : STATUS_ACCESS_DENIED, 0);
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
        SAY("%s in %lu\n", Location->MajorFunction == IRP_MJ_CLOSE ? "close" : "cleanup",
            HandleToULong(PsGetCurrentProcessId()));
        return Complete(Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_WRITE:
        StoredLength = min(Location->Parameters.Write.Length, sizeof(Stored));
        RtlCopyMemory(Stored, Irp->AssociatedIrp.SystemBuffer, StoredLength);
        SAY("write at %I64d\n", Location->Parameters.Write.ByteOffset.QuadPart);
        return Complete(Irp, STATUS_SUCCESS, StoredLength);
    case IRP_MJ_READ:
        Length = min(Location->Parameters.Read.Length, StoredLength);
        RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, Stored, Length);
        return Complete(Irp, STATUS_SUCCESS, Length);
    default:
        return Control(Irp, Location);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    IoFreeWorkItem(Item);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
    IoDeleteDevice(Exclusive);
    SAY("unloaded\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Tried");

    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_CREATE] = Driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    Driver->MajorFunction[IRP_MJ_READ] = Driver->MajorFunction[IRP_MJ_WRITE] = Dispatch;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    IoCreateDevice(Driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    Device->Flags |= DO_BUFFERED_IO;
    IoCreateSymbolicLink(&Link, &Name);
    IoCreateDevice(Driver, 0, &Alone, FILE_DEVICE_UNKNOWN, 0, TRUE, &Exclusive);
    Item = IoAllocateWorkItem(Device);
    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, OnDpc, NULL);
    return STATUS_SUCCESS;
}
