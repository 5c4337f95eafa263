/* Small drivers that call the filter manager, each with one habit; "-mended" behind its name leaves the fault out. */
#include <fltKernel.h>

#include "../chosen.h"

#pragma comment(linker, "/INTEGRITYCHECK")
#define LOG(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)

typedef struct {
    PCWSTR Name;
    NTSTATUS (*Entry)(VOID);
    VOID (*Unload)(VOID);
    PCREATE_PROCESS_NOTIFY_ROUTINE_EX Process;
} HABIT;

static const HABIT *Habit;
BOOLEAN Mended;
static KSPIN_LOCK Lock;
static PDRIVER_OBJECT Driver;
static PFLT_FILTER Filter;
static PFLT_PORT ServerPort, ClientPort;
static EX_PUSH_LOCK ListLock;
static LIST_ENTRY List;
static BOOLEAN KeepsPort, KeepsFilter, KeepsContext;

/* Of names.cpp. */
VOID NTAPI RemembersName(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info);
VOID ForgetsName(VOID);

static NTSTATUS Nothing(VOID)
{
    return STATUS_SUCCESS;
}

/* Asks for the name of every program that begins, and keeps what it is lent. */

static VOID TellsParts(PFLT_FILE_NAME_INFORMATION Name)
{
    if (NT_SUCCESS(FltParseFileNameInformation(Name)))
        LOG("%wZ in %wZ on %wZ, a %wZ\n", &Name->FinalComponent, &Name->ParentDir, &Name->Volume, &Name->Extension);
}

static VOID NTAPI KeepsFileName(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(ProcessId);
    if (Info == NULL || !Info->FileOpenNameAvailable)
        return;
    if (!NT_SUCCESS(FltGetFileNameInformationUnsafe(Info->FileObject, NULL,
                                                    FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name)))
        return;
    TellsParts(Name);
    if (Mended)
        FltReleaseFileNameInformation(Name);
}

/* Releases what it was lent twice. */

static VOID NTAPI ReleasesTwice(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(ProcessId);
    if (Info == NULL || !NT_SUCCESS(FltGetFileNameInformationUnsafe(
                            Info->FileObject, NULL, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name)))
        return;
    TellsParts(Name);
    if (Mended)
        FltReferenceFileNameInformation(Name);
    FltReleaseFileNameInformation(Name);
    FltReleaseFileNameInformation(Name);
}

/* Asks for a name with a spin lock held. */

static VOID NTAPI AsksAtDispatch(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    PFLT_FILE_NAME_INFORMATION Name;
    KIRQL Old = PASSIVE_LEVEL;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(ProcessId);
    if (Info == NULL)
        return;
    if (!Mended)
        KeAcquireSpinLock(&Lock, &Old);
    Status = FltGetFileNameInformationUnsafe(Info->FileObject, NULL,
                                             FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    if (!Mended)
        KeReleaseSpinLock(&Lock, Old);
    if (NT_SUCCESS(Status))
        FltReleaseFileNameInformation(Name);
}

/* A minifilter with a port, which tells of processes through it as well. */

static FLT_PREOP_CALLBACK_STATUS NTAPI BeforeCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        LOG("%u opens %wZ\n", FltGetRequestorProcessId(Data), &Name->Name);
        FltReleaseFileNameInformation(Name);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS NTAPI AttachesToDisks(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Type,
                                      FLT_FILESYSTEM_TYPE FileSystem)
{
    ULONG *Told;

    if (KeepsContext && NT_SUCCESS(FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, sizeof(*Told), NonPagedPool,
                                                      (PFLT_CONTEXT *)&Told))) {
        *Told = Type;
        FltSetInstanceContext(Objects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Told, NULL);
        if (Mended)
            FltReleaseContext(Told);
    }
    LOG("volume: flags %x type %u file system %u\n", Flags, Type, FileSystem);
    return Type == FILE_DEVICE_DISK_FILE_SYSTEM ? STATUS_SUCCESS : STATUS_FLT_DO_NOT_ATTACH;
}

static NTSTATUS NTAPI Connects(PFLT_PORT Client, PVOID Server, PVOID Context, ULONG Size, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(Server);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    UNREFERENCED_PARAMETER(Cookie);
    ClientPort = Client;
    return STATUS_SUCCESS;
}

static VOID NTAPI Disconnects(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
    FltCloseClientPort(Filter, &ClientPort);
}

static NTSTATUS NTAPI Unfilters(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    LOG("unload, flags %x\n", Flags);
    if (!KeepsPort || Mended)
        FltCloseCommunicationPort(ServerPort);
    if (!KeepsFilter || Mended)
        FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static NTSTATUS Filters(VOID)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, BeforeCreate, NULL}, {IRP_MJ_OPERATION_END}};
    static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_INSTANCE_CONTEXT, 0, NULL, sizeof(ULONG), 'tlFS'}, {FLT_CONTEXT_END}};
    static const FLT_REGISTRATION Registration = {.Size = sizeof(FLT_REGISTRATION),
                                                  .ContextRegistration = Contexts,
                                                  .Version = FLT_REGISTRATION_VERSION,
                                                  .OperationRegistration = Operations,
                                                  .FilterUnloadCallback = Unfilters,
                                                  .InstanceSetupCallback = AttachesToDisks};
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\SmallPort");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Descriptor;
    NTSTATUS Status = FltRegisterFilter(Driver, &Registration, &Filter);

    if (!NT_SUCCESS(Status))
        return Status;
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &ServerPort, &Attributes, NULL, Connects, Disconnects, NULL, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status))
        Status = FltStartFiltering(Filter);
    if (!NT_SUCCESS(Status))
        FltUnregisterFilter(Filter);
    return Status;
}

static NTSTATUS FiltersForGood(VOID)
{
    KeepsFilter = TRUE;
    return Filters();
}

static NTSTATUS FiltersWithPort(VOID)
{
    KeepsPort = KeepsFilter = TRUE;
    return Filters();
}

static NTSTATUS FiltersWithContext(VOID)
{
    KeepsContext = TRUE;
    return Filters();
}

static VOID NTAPI SendsProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    struct {
        ULONG Id;
        BOOLEAN Begins;
    } Message = {HandleToULong(ProcessId), Info != NULL};
    LARGE_INTEGER Timeout = {.QuadPart = -10000000};

    UNREFERENCED_PARAMETER(Process);
    if (!NT_SUCCESS(FltSendMessage(Filter, &ClientPort, &Message, sizeof(Message), NULL, NULL, &Timeout)))
        LOG("nobody to tell that %u %s\n", Message.Id, Message.Begins ? "begins" : "ends");
}

/* Keeps processes in a list behind a push lock, and leaves the list as it is. */

typedef struct {
    LIST_ENTRY Link;
    HANDLE Id;
} ENTRY;

static NTSTATUS MakesList(VOID)
{
    FltInitializePushLock(&ListLock);
    InitializeListHead(&List);
    return STATUS_SUCCESS;
}

static VOID NTAPI ListsProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    ENTRY *Entry = Info == NULL ? NULL : ExAllocatePoolWithTag(PagedPool, sizeof(ENTRY), 'tlFS');
    PLIST_ENTRY Link;
    ULONG Count = 0;

    UNREFERENCED_PARAMETER(Process);
    if (Entry != NULL) {
        Entry->Id = ProcessId;
        FltAcquirePushLockExclusive(&ListLock);
        InsertTailList(&List, &Entry->Link);
        FltReleasePushLock(&ListLock);
    }
    FltAcquirePushLockShared(&ListLock);
    for (Link = List.Flink; Link != &List; Link = Link->Flink)
        Count++;
    FltReleasePushLock(&ListLock);
    LOG("%u processes\n", Count);
}

static VOID LeavesList(VOID)
{
    FltAcquirePushLockExclusive(&ListLock);
    while (Mended && !IsListEmpty(&List))
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&List), ENTRY, Link), 'tlFS');
    FltReleasePushLock(&ListLock);
    FltDeletePushLock(&ListLock);
}

static const HABIT Habits[] = {
    {L"keeps-file-name", Nothing, NULL, KeepsFileName},
    {L"releases-twice", Nothing, NULL, ReleasesTwice},
    {L"asks-at-dispatch", Nothing, NULL, AsksAtDispatch},
    {L"keeps-filter", FiltersForGood, NULL, SendsProcess},
    {L"keeps-port", FiltersWithPort, NULL, SendsProcess},
    {L"keeps-context", FiltersWithContext, NULL, SendsProcess},
    {L"keeps-listed", MakesList, LeavesList, ListsProcess},
    {L"remembers-name", Nothing, ForgetsName, RemembersName},
};

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Habit->Process != NULL)
        PsSetCreateProcessNotifyRoutineEx(Habit->Process, TRUE);
    if (Habit->Unload != NULL)
        Habit->Unload();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING Path)
{
    ULONG Index;
    NTSTATUS Status;

    Driver = DriverObject;
    DriverObject->DriverUnload = Unload;
    KeInitializeSpinLock(&Lock);
    for (Index = 0; Index < RTL_NUMBER_OF(Habits); Index++) {
        Mended = Chosen(Path, Habits[Index].Name, L"-mended");
        if (Mended || Chosen(Path, Habits[Index].Name, L"")) {
            Habit = &Habits[Index];
            break;
        }
    }
    if (Habit == NULL)
        return STATUS_INVALID_PARAMETER;
    Status = Habit->Entry();
    if (NT_SUCCESS(Status) && Habit->Process != NULL)
        Status = PsSetCreateProcessNotifyRoutineEx(Habit->Process, FALSE);
    return Status;
}
