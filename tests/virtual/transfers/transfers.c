/*
 * A driver with a device, by every way that a buffer can take; and its twins, which do one thing wrong each. What
 * is done is chosen by the control code.
 */
#include <ntifs.h>

#define CODE(n, method) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900 + (n), METHOD_##method, FILE_ANY_ACCESS)

enum { ADD, QUEUE, RELEASE, FORGET, TRUST, BEYOND, KEEP_LOCK, COMPLETE_TWICE, MARK_PEB, LOCK, CANCEL, UNLOCKED, TWICE, LEAVE_LINK };

static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Transfers");
static PDEVICE_OBJECT Device, Direct, Neither;
static PIRP Queued;
static BOOLEAN LeavesLink;

NTKERNELAPI PVOID NTAPI PsGetProcessPeb(PEPROCESS Process);

C_ASSERT(FIELD_OFFSET(IRP, MdlAddress) == 0x08 && FIELD_OFFSET(IRP, Cancel) == 0x44);
C_ASSERT(FIELD_OFFSET(IRP, CancelIrql) == 0x45 && FIELD_OFFSET(IRP, UserBuffer) == 0x70);
C_ASSERT(sizeof(MDL) == 0x30 && FIELD_OFFSET(MDL, MdlFlags) == 0x0A && FIELD_OFFSET(MDL, Process) == 0x10);
C_ASSERT(FIELD_OFFSET(MDL, MappedSystemVa) == 0x18 && FIELD_OFFSET(MDL, StartVa) == 0x20);
C_ASSERT(FIELD_OFFSET(MDL, ByteCount) == 0x28 && FIELD_OFFSET(MDL, ByteOffset) == 0x2C);

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI Cancel(PDEVICE_OBJECT Asked, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Asked);
    DbgPrint("cancel at irql %u, was %u, flag %u\n", KeGetCurrentIrql(), Irp->CancelIrql, Irp->Cancel);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    InterlockedCompareExchangePointer((PVOID *)&Queued, NULL, Irp);
    Complete(Irp, STATUS_CANCELLED, 0);
}

static VOID NTAPI CancelKeepsLock(PDEVICE_OBJECT Asked, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Asked);
    Complete(Irp, STATUS_CANCELLED, 0);
}

/* Stays queued, so that it is completed again. */
static VOID NTAPI CancelForgetsQueue(PDEVICE_OBJECT Asked, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Asked);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    Complete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS Enqueue(PIRP Irp, PDRIVER_CANCEL Routine)
{
    IoMarkIrpPending(Irp);
    Queued = Irp;
    if (Routine != NULL)
        IoSetCancelRoutine(Irp, Routine);
    return STATUS_PENDING;
}

static NTSTATUS ReleaseQueued(VOID)
{
    const PIRP Irp = InterlockedExchangePointer((PVOID *)&Queued, NULL);

    if (Irp == NULL)
        return STATUS_NOT_FOUND;
    if (IoSetCancelRoutine(Irp, NULL) != NULL) {
        RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, "released", 8);
        Complete(Irp, STATUS_SUCCESS, 8);
    }
    return STATUS_SUCCESS;
}

static VOID AddOne(PUCHAR To, const UCHAR *From, ULONG Length)
{
    for (ULONG i = 0; i < Length; ++i)
        To[i] = (UCHAR)(From[i] + 1);
}

/* With the addresses of another process, or of none, the answer is an error and nothing worse. */
static NTSTATUS AddNeither(PIRP Irp, PIO_STACK_LOCATION Location, ULONG Length)
{
    PUCHAR From = Location->Parameters.DeviceIoControl.Type3InputBuffer;
    NTSTATUS Status = STATUS_SUCCESS;

    __try {
        ProbeForRead(From, Length, 1);
        ProbeForWrite(Irp->UserBuffer, Length, 1);
        AddOne(Irp->UserBuffer, From, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    return Complete(Irp, Status, NT_SUCCESS(Status) ? Length : 0);
}

/* The driver's own MDL of the process's memory. */
static NTSTATUS AddLocked(PIRP Irp, ULONG Length)
{
    PMDL Mdl = IoAllocateMdl(Irp->UserBuffer, Length, FALSE, FALSE, NULL);
    NTSTATUS Status = STATUS_SUCCESS;

    __try {
        MmProbeAndLockPages(Mdl, UserMode, IoModifyAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    if (NT_SUCCESS(Status)) {
        PUCHAR Bytes = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);

        AddOne(Bytes, Bytes, Length);
        MmUnlockPages(Mdl);
    }
    IoFreeMdl(Mdl);
    return Complete(Irp, Status, NT_SUCCESS(Status) ? Length : 0);
}

static NTSTATUS Control(PIRP Irp, PIO_STACK_LOCATION Location)
{
    const ULONG Given = Location->Parameters.DeviceIoControl.InputBufferLength;
    const ULONG Room = Location->Parameters.DeviceIoControl.OutputBufferLength;
    const ULONG Length = min(Given, Room);
    PUCHAR Buffer = Irp->AssociatedIrp.SystemBuffer, Bytes;
    PMDL Mdl;

    switch (Location->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(ADD, BUFFERED):
        AddOne(Buffer, Buffer, Length);
        return Complete(Irp, STATUS_SUCCESS, Length);
    case CODE(ADD, IN_DIRECT):
        Bytes = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
        DbgPrint("%.*s, %u bytes: %.*s\n", (int)Given, Buffer, MmGetMdlByteCount(Irp->MdlAddress), (int)Room, Bytes);
        return Complete(Irp, STATUS_SUCCESS, Room);
    case CODE(ADD, OUT_DIRECT):
        AddOne(MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority), Buffer, Length);
        return Complete(Irp, STATUS_SUCCESS, Length);
    case CODE(ADD, NEITHER):
        return AddNeither(Irp, Location, Length);
    case CODE(LOCK, NEITHER):
        return AddLocked(Irp, Room);
    case CODE(QUEUE, BUFFERED):
        return Enqueue(Irp, Cancel);
    case CODE(RELEASE, BUFFERED):
        return Complete(Irp, ReleaseQueued(), 0);
    case CODE(CANCEL, BUFFERED):
        return Complete(Irp, IoCancelIrp(Queued) ? STATUS_SUCCESS : STATUS_NOT_FOUND, 0);
    case CODE(FORGET, BUFFERED):
        return Enqueue(Irp, NULL);
    case CODE(TRUST, NEITHER):
        AddOne(Irp->UserBuffer, Location->Parameters.DeviceIoControl.Type3InputBuffer, Length);
        return Complete(Irp, STATUS_SUCCESS, Length);
    case CODE(BEYOND, BUFFERED):
        RtlFillMemory(Buffer, Room + 1, 0x41);
        return Complete(Irp, STATUS_SUCCESS, Room);
    case CODE(BEYOND, OUT_DIRECT):
        RtlFillMemory(MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority), Room + 16, 0x41);
        return Complete(Irp, STATUS_SUCCESS, Room);
    case CODE(KEEP_LOCK, BUFFERED):
        return Enqueue(Irp, CancelKeepsLock);
    case CODE(COMPLETE_TWICE, BUFFERED):
        return Enqueue(Irp, CancelForgetsQueue);
    case CODE(MARK_PEB, BUFFERED):
        Bytes = PsGetProcessPeb(PsGetCurrentProcess());
        Bytes[0x800] += 1;
        Buffer[0] = Bytes[0x800];
        return Complete(Irp, STATUS_SUCCESS, 1);
    case CODE(UNLOCKED, BUFFERED):
        Mdl = IoAllocateMdl(Buffer, Room, FALSE, FALSE, NULL);
        MmUnlockPages(Mdl);
        return Complete(Irp, STATUS_SUCCESS, 0);
    case CODE(TWICE, BUFFERED):
        Complete(Irp, STATUS_SUCCESS, 0);
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return STATUS_SUCCESS;
    case CODE(LEAVE_LINK, BUFFERED):
        LeavesLink = TRUE;
        return Complete(Irp, STATUS_SUCCESS, 0);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* Reads and writes: how the buffer comes depends on the device. */
static NTSTATUS Transfer(PDEVICE_OBJECT Asked, PIRP Irp, PIO_STACK_LOCATION Location)
{
    const BOOLEAN Read = Location->MajorFunction == IRP_MJ_READ;
    const ULONG Length = Read ? Location->Parameters.Read.Length : Location->Parameters.Write.Length;
    PUCHAR Bytes = Irp->AssociatedIrp.SystemBuffer;

    if (Asked == Direct)
        Bytes = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    if (Asked == Neither)
        Bytes = Irp->UserBuffer;
    if (Read)
        RtlFillMemory(Bytes, Length, 'r');
    else
        DbgPrint("written: %.*s\n", (int)Length, Bytes);
    return Complete(Irp, STATUS_SUCCESS, Length);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT Asked, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);

    switch (Location->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return Transfer(Asked, Irp, Location);
    case IRP_MJ_DEVICE_CONTROL:
        return Control(Irp, Location);
    case IRP_MJ_CLEANUP:
        DbgPrint("cleanup in %lu\n", HandleToULong(PsGetCurrentProcessId()));
        return Complete(Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLOSE:
        DbgPrint("close\n");
        return Complete(Irp, STATUS_SUCCESS, 0);
    default:
        return Complete(Irp, STATUS_SUCCESS, 0);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    if (!LeavesLink)
        IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
    IoDeleteDevice(Direct);
    IoDeleteDevice(Neither);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Transfers");
    UNICODE_STRING DirectName = RTL_CONSTANT_STRING(L"\\??\\TransfersDirect");
    UNICODE_STRING NeitherName = RTL_CONSTANT_STRING(L"\\??\\TransfersNeither");

    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; ++i)
        Driver->MajorFunction[i] = Dispatch;
    IoCreateDevice(Driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    Device->Flags |= DO_BUFFERED_IO;
    if (!NT_SUCCESS(IoCreateSymbolicLink(&Link, &Name))) {
        IoDeleteDevice(Device);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    IoCreateDevice(Driver, 0, &DirectName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Direct);
    Direct->Flags |= DO_DIRECT_IO;
    IoCreateDevice(Driver, 0, &NeitherName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Neither);
    return STATUS_SUCCESS;
}
