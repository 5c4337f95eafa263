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
static BOOLEAN Mended;
static KSPIN_LOCK Lock;

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

static const HABIT Habits[] = {
    {L"keeps-file-name", Nothing, NULL, KeepsFileName},
    {L"releases-twice", Nothing, NULL, ReleasesTwice},
    {L"asks-at-dispatch", Nothing, NULL, AsksAtDispatch},
};

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    if (Habit->Process != NULL)
        PsSetCreateProcessNotifyRoutineEx(Habit->Process, TRUE);
    if (Habit->Unload != NULL)
        Habit->Unload();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    ULONG Index;
    NTSTATUS Status;

    Driver->DriverUnload = Unload;
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
