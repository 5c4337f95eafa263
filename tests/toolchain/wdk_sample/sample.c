// As people write drivers for Microsoft's compiler: SAL, alloc_text, __FUNCTION__ as a string, KdPrint, SEH.
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD SampleUnload;
_Dispatch_type_(IRP_MJ_CREATE) _Dispatch_type_(IRP_MJ_CLOSE) DRIVER_DISPATCH SampleCreateClose;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, SampleUnload)
#endif

static LIST_ENTRY g_Items;
static FAST_MUTEX g_Lock;

void SampleOnProcess(_Inout_ PEPROCESS Process, _In_ HANDLE ProcessId, _Inout_opt_ PPS_CREATE_NOTIFY_INFO CreateInfo)
{
    UNREFERENCED_PARAMETER(Process);
    if (CreateInfo != NULL) {
        LOG("PPID(%u) created PID(%u) %wZ", HandleToULong(CreateInfo->ParentProcessId), HandleToULong(ProcessId),
            CreateInfo->ImageFileName);
        if (!NT_SUCCESS(SampleAdd(ProcessId, CreateInfo->ParentProcessId)))
            CreateInfo->CreationStatus = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        KdPrint(("[sample] " __FUNCTION__ " PID(%u) was terminated\n", HandleToULong(ProcessId)));
    }
}

NTSTATUS SampleAdd(HANDLE ProcessId, HANDLE ParentId)
{
    PSAMPLE_ITEM item = (PSAMPLE_ITEM)ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(SAMPLE_ITEM), TAG);
    if (!item)
        return STATUS_INSUFFICIENT_RESOURCES;
    item->ProcessId = HandleToULong(ProcessId);
    item->ParentId = HandleToULong(ParentId);
    KeQuerySystemTimePrecise(&item->Time);
    ExAcquireFastMutex(&g_Lock);
    InsertTailList(&g_Items, &item->Entry);
    ExReleaseFastMutex(&g_Lock);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS SampleCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID SampleUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\??\\Sample");

    PAGED_CODE();
    PsSetCreateProcessNotifyRoutineEx(SampleOnProcess, TRUE);
    while (!IsListEmpty(&g_Items))
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&g_Items), SAMPLE_ITEM, Entry), TAG);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

_Use_decl_annotations_ NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Sample");
    PDEVICE_OBJECT device = NULL;
    WCHAR text[64];
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    InitializeListHead(&g_Items);
    ExInitializeFastMutex(&g_Lock);
    status = IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        KdPrintEx((DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "IoCreateDevice failed (status: 0x%x)\n", status));
        return status;
    }
    status = RtlStringCbPrintfW(text, sizeof(text), L"%I64u", SampleAverage(10000000000ull, max(3, 2)));
    DriverObject->MajorFunction[IRP_MJ_CREATE] = DriverObject->MajorFunction[IRP_MJ_CLOSE] = SampleCreateClose;
    DriverObject->DriverUnload = SampleUnload;
    status = PsSetCreateProcessNotifyRoutineEx(SampleOnProcess, FALSE);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}
