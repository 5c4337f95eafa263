/* A process watcher in the manner of small endpoint sensors: callbacks queue records, a system thread takes them out
 * of the queue and writes a log file, settings come from the driver's service key. */
#include <ntifs.h>
#include <stdarg.h>

#define TAG 'tchW'
#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)

typedef struct { LIST_ENTRY Link; ULONG ProcessId; WCHAR Text[200]; } RECORD;
typedef NTSTATUS(NTAPI *QUERY_PROCESS)(HANDLE, ULONG, PVOID, ULONG, PULONG);

__declspec(dllimport) int __cdecl _vsnwprintf(WCHAR *, SIZE_T, const WCHAR *, va_list);
__declspec(dllimport) int __cdecl wcscpy_s(WCHAR *, SIZE_T, const WCHAR *);
__declspec(dllimport) int __cdecl wcsncpy_s(WCHAR *, SIZE_T, const WCHAR *, SIZE_T);
__declspec(dllimport) WCHAR *__cdecl wcsncat(WCHAR *, const WCHAR *, SIZE_T);
__declspec(dllimport) WCHAR *__cdecl _wcslwr(WCHAR *);
__declspec(dllimport) WCHAR *__cdecl wcsrchr(const WCHAR *, WCHAR);
__declspec(dllimport) NTSTATUS NTAPI ZwQuerySystemInformation(ULONG, PVOID, ULONG, PULONG);
__declspec(dllimport) BOOLEAN NTAPI PsIsProtectedProcess(PEPROCESS);
__declspec(dllimport) PCHAR NTAPI PsGetProcessImageFileName(PEPROCESS);
__declspec(dllimport) PVOID NTAPI PsGetCurrentProcessWow64Process(void);
__declspec(dllimport) PVOID NTAPI PsGetProcessPeb(PEPROCESS);
__declspec(dllimport) NTSTATUS NTAPI SeLocateProcessImageName(PEPROCESS, PUNICODE_STRING *);

static LIST_ENTRY Queue;
static FAST_MUTEX QueueLock;
static KEVENT Queued, Stop;
static ERESOURCE Settings;
static NPAGED_LOOKASIDE_LIST Records;
static PVOID Writer;
static PVOID HandleCallbacks;
static LARGE_INTEGER KeyCallbacks;
static PDEVICE_OBJECT Device;
static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\Watcher");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\??\\Watcher");
static UNICODE_STRING LogName = RTL_CONSTANT_STRING(L"\\??\\C:\\Windows\\Temp\\watcher.log");
static UNICODE_STRING Watched = RTL_CONSTANT_STRING(L"*\\NOTEPAD.EXE");
static ULONG Start, Threads, Images, Protected;
static QUERY_PROCESS QueryProcess;

static void Enqueue(ULONG process, const WCHAR *form, ...)
{
    RECORD *record = ExAllocateFromNPagedLookasideList(&Records);
    va_list list;
    if (record == NULL)
        return;
    record->ProcessId = process;
    va_start(list, form);
    _vsnwprintf(record->Text, RTL_NUMBER_OF(record->Text), form, list);
    va_end(list);
    record->Text[RTL_NUMBER_OF(record->Text) - 1] = L'\0';
    ExAcquireFastMutex(&QueueLock);
    InsertTailList(&Queue, &record->Link);
    ExReleaseFastMutex(&QueueLock);
    KeSetEvent(&Queued, IO_NO_INCREMENT, FALSE);
}

static RECORD *Dequeue(void)
{
    RECORD *record = NULL;
    ExAcquireFastMutex(&QueueLock);
    if (!IsListEmpty(&Queue))
        record = CONTAINING_RECORD(RemoveHeadList(&Queue), RECORD, Link);
    ExReleaseFastMutex(&QueueLock);
    return record;
}

static HANDLE OpenLog(ULONG disposition)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK status;
    HANDLE log = NULL;
    InitializeObjectAttributes(&attributes, &LogName, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    ZwCreateFile(&log, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &status, NULL,
        FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ, disposition, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    return log;
}

static VOID NTAPI Write(PVOID context)
{
    PVOID events[2] = {&Queued, &Stop};
    HANDLE log = OpenLog(FILE_OVERWRITE_IF);
    IO_STATUS_BLOCK status;
    RECORD *record;
    UNREFERENCED_PARAMETER(context);
    for (;;) {
        const NTSTATUS why =
            KeWaitForMultipleObjects(2, events, WaitAny, Executive, KernelMode, FALSE, NULL, NULL);
        while ((record = Dequeue()) != NULL) {
            ZwWriteFile(log, NULL, NULL, NULL, &status, record->Text, (ULONG)wcslen(record->Text) * sizeof(WCHAR),
                NULL, NULL);
            ExFreeToNPagedLookasideList(&Records, record);
        }
        if (why == STATUS_WAIT_1)
            break;
    }
    ZwClose(log);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void Describe(PEPROCESS process, HANDLE id, PCUNICODE_STRING image)
{
    UCHAR block[600];
    WCHAR name[64] = L"";
    PUNICODE_STRING located = NULL;
    KAPC_STATE state;
    HANDLE handle = NULL;
    ULONG size = 0, read = 0;
    const WCHAR *last = wcsrchr(image->Buffer, L'\\');
    wcsncpy_s(name, RTL_NUMBER_OF(name), last ? last + 1 : image->Buffer, 60);
    wcsncat(_wcslwr(name), L"!", 1);
    ObOpenObjectByPointer(process, OBJ_KERNEL_HANDLE, NULL, PROCESS_ALL_ACCESS, *PsProcessType, KernelMode, &handle);
    QueryProcess(handle, 27, block, sizeof(block), &size);
    ZwClose(handle);
    SeLocateProcessImageName(process, &located);
    KeStackAttachProcess(process, &state);
    __try {
        read = *(volatile ULONG *)PsGetProcessPeb(process) == 0 && PsGetCurrentProcessWow64Process() == NULL;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        read = 2;
    }
    KeUnstackDetachProcess(&state);
    SAY("watcher: %ws same=%u peb=%u 14=%s\n", name,
        RtlEqualUnicodeString(located, (PUNICODE_STRING)block, TRUE), read, PsGetProcessImageFileName(process));
    ExFreePool(located);
    Enqueue(HandleToULong(id), L"start %u %s\r\n", HandleToULong(id), name);
}

static VOID NTAPI OnProcess(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    if (info == NULL) {
        Enqueue(HandleToULong(id), L"stop %u\r\n", HandleToULong(id));
    } else if (info->ImageFileName &&
               FsRtlIsNameInExpression(&Watched, (PUNICODE_STRING)info->ImageFileName, TRUE, NULL)) {
        Describe(process, id, info->ImageFileName);
    }
}

static VOID NTAPI OnThread(HANDLE process, HANDLE thread, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(thread);
    if (create)
        InterlockedIncrement((volatile LONG *)&Threads);
}

static VOID NTAPI OnImage(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO info)
{
    UNREFERENCED_PARAMETER(info);
    if (name != NULL && process != NULL)
        InterlockedIncrement((volatile LONG *)&Images);
}

static OB_PREOP_CALLBACK_STATUS NTAPI OnHandle(PVOID context, POB_PRE_OPERATION_INFORMATION operation)
{
    UNREFERENCED_PARAMETER(context);
    if (!operation->KernelHandle && PsIsProtectedProcess((PEPROCESS)operation->Object))
        operation->Parameters->CreateHandleInformation.DesiredAccess = 0;
    return OB_PREOP_SUCCESS;
}

static NTSTATUS NTAPI OnKey(PVOID context, PVOID kind, PVOID what)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(kind);
    UNREFERENCED_PARAMETER(what);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static void ReadSettings(PUNICODE_STRING path)
{
    UCHAR block[64];
    PKEY_VALUE_PARTIAL_INFORMATION value = (PVOID)block;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"Start");
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;
    ULONG size;
    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)))
        return;
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Settings, TRUE);
    if (NT_SUCCESS(ZwQueryValueKey(key, &name, KeyValuePartialInformation, block, sizeof(block), &size)))
        Start = *(ULONG *)value->Data;
    ExReleaseResourceLite(&Settings);
    KeLeaveCriticalRegion();
    ZwClose(key);
}

static void CountProtected(void)
{
    ULONG size = 0, next = 0;
    PEPROCESS process;
    PUCHAR all;
    ZwQuerySystemInformation(5, NULL, 0, &size);
    all = ExAllocatePoolWithTag(PagedPool, size, TAG);
    if (all != NULL && NT_SUCCESS(ZwQuerySystemInformation(5, all, size, &size))) {
        do {
            PUCHAR entry = all + next;
            if (NT_SUCCESS(PsLookupProcessByProcessId(*(HANDLE *)(entry + 0x50), &process))) {
                Protected += PsIsProtectedProcess(process);
                ObDereferenceObject(process);
            }
            next = *(PULONG)entry ? next + *(PULONG)entry : 0;
        } while (next);
    }
    if (all != NULL)
        ExFreePoolWithTag(all, TAG);
}

static NTSTATUS WatchHandles(void)
{
    OB_OPERATION_REGISTRATION operation = {PsProcessType, OB_OPERATION_HANDLE_CREATE, OnHandle, NULL};
    OB_CALLBACK_REGISTRATION all = {OB_FLT_REGISTRATION_VERSION, 1, RTL_CONSTANT_STRING(L"385200"), NULL, &operation};
    return ObRegisterCallbacks(&all, &HandleCallbacks);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    WCHAR text[256];
    IO_STATUS_BLOCK status;
    LARGE_INTEGER start = {.QuadPart = 0};
    HANDLE log;
    ULONG lines = 0, at;
    UNREFERENCED_PARAMETER(driver);
    PsSetCreateProcessNotifyRoutineEx(OnProcess, TRUE);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    PsRemoveLoadImageNotifyRoutine(OnImage);
    ObUnRegisterCallbacks(HandleCallbacks);
    CmUnRegisterCallback(KeyCallbacks);
    KeSetEvent(&Stop, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Writer, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Writer);
    log = OpenLog(FILE_OPEN);
    if (NT_SUCCESS(ZwReadFile(log, NULL, NULL, NULL, &status, text, sizeof(text), &start, NULL)))
        for (at = 0; at < status.Information / sizeof(WCHAR); at++)
            lines += text[at] == L'\n';
    ZwClose(log);
    ExDeleteNPagedLookasideList(&Records);
    ExDeleteResourceLite(&Settings);
    IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Device);
    SAY("watcher: log %u threads %u images %u\n", lines > 0, Threads > 0, Images > 0);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING wanted = RTL_CONSTANT_STRING(L"ZwQueryInformationProcess"), altitude = RTL_CONSTANT_STRING(L"385200");
    WCHAR copy[32];
    HANDLE thread = NULL;
    NTSTATUS results[6];
    ULONG at;

    QueryProcess = (QUERY_PROCESS)(ULONG_PTR)MmGetSystemRoutineAddress(&wanted);
    wcscpy_s(copy, RTL_NUMBER_OF(copy), L"watcher");
    InitializeListHead(&Queue);
    ExInitializeFastMutex(&QueueLock);
    ExInitializeResourceLite(&Settings);
    KeInitializeEvent(&Queued, SynchronizationEvent, FALSE);
    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    ExInitializeNPagedLookasideList(&Records, NULL, NULL, 0, sizeof(RECORD), TAG, 0);
    ReadSettings(path);
    CountProtected();
    results[0] = IoCreateDevice(driver, 0, &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    IoCreateSymbolicLink(&LinkName, &DeviceName);
    driver->MajorFunction[IRP_MJ_CREATE] = driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->DriverUnload = Unload;
    results[1] = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Write, NULL);
    ObReferenceObjectByHandle(thread, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &Writer, NULL);
    ZwClose(thread);
    results[2] = PsSetCreateProcessNotifyRoutineEx(OnProcess, FALSE);
    results[3] = PsSetCreateThreadNotifyRoutine(OnThread) | PsSetLoadImageNotifyRoutine(OnImage);
    results[4] = WatchHandles();
    results[5] = CmRegisterCallbackEx(OnKey, &altitude, driver, NULL, &KeyCallbacks, NULL);
    for (at = 0; at < RTL_NUMBER_OF(results); at++)
        if (!NT_SUCCESS(results[at]))
            SAY("watcher: step %u failed with %x\n", at, results[at]);
    SAY("%ws: start=%u protected=%u query=%u\n", copy, Start, Protected > 0, QueryProcess != NULL);
    return STATUS_SUCCESS;
}
