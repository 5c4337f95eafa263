/*
 * Races that nothing shows while callbacks run one after another, and the same drivers mended: the last part of the
 * service's registry path chooses which. Tests: tests/virtual/kernel/test_races.py.
 *
 * Each prints "wrong ..." when its own invariant does not hold.
 */
#include <ntddk.h>

#define TAG 'ecaR'

typedef struct {
    PCWSTR Name;
    VOID (*Callback)(HANDLE ThreadId, BOOLEAN Create);
    VOID (*Unload)(VOID);
    BOOLEAN Mended;
} DRIVER_CASE;

typedef struct {
    LIST_ENTRY Links;
    HANDLE ThreadId;
} ENTRY;

static const DRIVER_CASE *Case;
static FAST_MUTEX Lock;
static LONG Counted;
static volatile LONG Called, Opened;
static LIST_ENTRY Entries;
static PCSTR volatile Text;
static volatile BOOLEAN Published;
static ULONG *Table;

static VOID Enter(VOID)
{
    if (Case->Mended)
        ExAcquireFastMutex(&Lock);
}

static VOID Leave(VOID)
{
    if (Case->Mended)
        ExReleaseFastMutex(&Lock);
}

/* Loses an update: reads, asks the kernel something, writes. */
static VOID CountsCalls(HANDLE ThreadId, BOOLEAN Create)
{
    LONG Before;

    UNREFERENCED_PARAMETER(Create);
    InterlockedIncrement(&Called);
    Enter();
    Before = Counted;
    if (ThreadId != PsGetCurrentThreadId())
        DbgPrint("other thread\n");
    Counted = Before + 1;
    Leave();
}

static VOID SaysCount(VOID)
{
    if (Counted != Called)
        DbgPrint("wrong count %d of %d\n", Counted, Called);
}

/* The same without asking anybody: one instruction, which reads and writes. */
static VOID CountsPlainly(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    InterlockedIncrement(&Called);
    if (Case->Mended)
        InterlockedIncrement(&Counted);
    else
        Counted++;
}

/* Tears a line: prints it in two pieces. */
static VOID PrintsInPieces(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Create);
    Enter();
    if (InterlockedIncrement(&Opened) != 1)
        DbgPrint("wrong: torn\n");
    DbgPrint("begin %u ", HandleToULong(ThreadId));
    DbgPrint("end %u\n", HandleToULong(ThreadId));
    InterlockedDecrement(&Opened);
    Leave();
}

/* Checks, then uses: two may find the entry and both remove it. */
static VOID KeepsList(HANDLE ThreadId, BOOLEAN Create)
{
    ENTRY *Entry;
    PLIST_ENTRY Link;

    if (Create) {
        Entry = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Entry), TAG);
        if (Entry == NULL)
            return;
        Entry->ThreadId = ThreadId;
        Enter();
        Link = Entries.Blink;
        KeQueryInterruptTime();
        PsGetCurrentThreadId();
        Entry->Links.Flink = &Entries;
        Entry->Links.Blink = Link;
        Link->Flink = &Entry->Links;
        Entries.Blink = &Entry->Links;
        Leave();
        InterlockedIncrement(&Called);
    }
}

static VOID CountsList(VOID)
{
    LONG Found = 0;

    while (!IsListEmpty(&Entries) && Found < Called) {
        ENTRY *Entry = CONTAINING_RECORD(Entries.Flink, ENTRY, Links);

        Entries.Flink = Entry->Links.Flink;
        ExFreePoolWithTag(Entry, TAG);
        Found++;
    }
    if (Found != Called)
        DbgPrint("wrong list %d of %d\n", Found, Called);
}

/* Sets the flag before what it stands for is there. */
static VOID Publishes(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    Enter();
    if (Published && Text == NULL)
        DbgPrint("wrong: not there\n");
    Text = NULL;
    Published = TRUE;
    PsGetCurrentProcessId();
    Text = "ready";
    Leave();
}

/* Frees a table of its own twice: two may see it full. */
static VOID FillsTable(HANDLE ThreadId, BOOLEAN Create)
{
    ULONG *Full;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    Enter();
    if (Table == NULL)
        Table = ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
    Full = Table;
    if (Full != NULL) {
        PsGetCurrentProcessId();
        ExFreePoolWithTag(Full, TAG);
        Table = NULL;
    }
    Leave();
}

/* Unloads against a running callback: frees before the routine is removed. */
static VOID UsesTable(HANDLE ThreadId, BOOLEAN Create)
{
    ULONG *Mine = Table;

    UNREFERENCED_PARAMETER(Create);
    if (Mine == NULL)
        return;
    PsGetCurrentProcessId();
    Mine[HandleToULong(ThreadId) & 15]++;
}

static VOID FreesTable(VOID)
{
    ULONG *Mine = Table;

    Table = NULL;
    if (Mine != NULL)
        ExFreePoolWithTag(Mine, TAG);
}

static const DRIVER_CASE Cases[] = {
    {L"counts-unlocked", CountsCalls, SaysCount, FALSE},
    {L"counts-locked", CountsCalls, SaysCount, TRUE},
    {L"counts-plainly", CountsPlainly, SaysCount, FALSE},
    {L"counts-interlocked", CountsPlainly, SaysCount, TRUE},
    {L"prints-unlocked", PrintsInPieces, NULL, FALSE},
    {L"prints-locked", PrintsInPieces, NULL, TRUE},
    {L"lists-unlocked", KeepsList, CountsList, FALSE},
    {L"lists-locked", KeepsList, CountsList, TRUE},
    {L"publishes-unlocked", Publishes, NULL, FALSE},
    {L"publishes-locked", Publishes, NULL, TRUE},
    {L"fills-unlocked", FillsTable, NULL, FALSE},
    {L"fills-locked", FillsTable, NULL, TRUE},
    {L"frees-before-removal", UsesTable, FreesTable, FALSE},
    {L"frees-after-removal", UsesTable, FreesTable, TRUE},
};

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ProcessId);
    Case->Callback(ThreadId, Create);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Case->Unload == FreesTable && !Case->Mended)
        Case->Unload();
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    if (Case->Unload != NULL && (Case->Unload != FreesTable || Case->Mended))
        Case->Unload();
    DbgPrint("unloaded\n");
}

static BOOLEAN EndsWith(PCUNICODE_STRING Path, PCWSTR Name)
{
    UNICODE_STRING Wanted, Tail;

    RtlInitUnicodeString(&Wanted, Name);
    if (Path->Length <= Wanted.Length)
        return FALSE;
    Tail.Length = Tail.MaximumLength = Wanted.Length;
    Tail.Buffer = Path->Buffer + (Path->Length - Wanted.Length) / sizeof(WCHAR);
    return Tail.Buffer[-1] == L'\\' && RtlEqualUnicodeString(&Tail, &Wanted, TRUE);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Cases); Index++)
        if (EndsWith(RegistryPath, Cases[Index].Name))
            Case = &Cases[Index];
    if (Case == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    DriverObject->DriverUnload = Unload;
    ExInitializeFastMutex(&Lock);
    InitializeListHead(&Entries);
    if (Case->Callback == UsesTable)
        Table = ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
