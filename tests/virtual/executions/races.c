/*
 * Races that nothing shows while callbacks run one after another, and the same drivers mended. Each prints "wrong ..."
 * when its own invariant does not hold.
 */
#include "driver_case.h"

typedef struct {
    LIST_ENTRY Links;
    HANDLE ThreadId;
} ENTRY;

static volatile LONG Counted;
static volatile LONG Called, Opened;
static LIST_ENTRY Entries = {&Entries, &Entries};
static PCSTR volatile Text;
static volatile BOOLEAN Published;
static ULONG *Table;
static volatile LONG *References;

static VOID Enter(VOID)
{
    if (Case->Mended)
        ExAcquireFastMutex(&FastMutex);
}

static VOID Leave(VOID)
{
    if (Case->Mended)
        ExReleaseFastMutex(&FastMutex);
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

static VOID CountsOften(HANDLE ThreadId, BOOLEAN Create)
{
    ULONG Turn;

    for (Turn = 0; Turn < 16; Turn++)
        CountsPlainly(ThreadId, Create);
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

/* Loses an entry: two link theirs behind the same one. */
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

/* Checks, then uses: two may find the list not empty and both take its first entry. */
static VOID TakesFromList(HANDLE ThreadId, BOOLEAN Create)
{
    ENTRY *Entry = NULL;

    UNREFERENCED_PARAMETER(Create);
    Enter();
    if (!IsListEmpty(&Entries)) {
        Entry = CONTAINING_RECORD(Entries.Flink, ENTRY, Links);
        Entries.Flink = Entry->Links.Flink;
        Entry->Links.Flink->Blink = &Entries;
        ExFreePoolWithTag(Entry, TAG);
    } else {
        Entry = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Entry), TAG);
        if (Entry != NULL) {
            Entry->ThreadId = ThreadId;
            Entry->Links.Flink = Entry->Links.Blink = &Entries;
            Entries.Flink = Entries.Blink = &Entry->Links;
        }
    }
    Leave();
}

static VOID EmptiesList(VOID)
{
    while (!IsListEmpty(&Entries)) {
        ENTRY *Entry = CONTAINING_RECORD(RemoveHeadList(&Entries), ENTRY, Links);

        ExFreePoolWithTag(Entry, TAG);
    }
}

/* Drops its reference and looks at the count in two steps: two may see that they were the last. */
static VOID DropsReference(HANDLE ThreadId, BOOLEAN Create)
{
    volatile LONG *Mine;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&OtherFastMutex);
    if (References == NULL) {
        References = ExAllocatePoolWithTag(NonPagedPool, sizeof(*References), TAG);
        *References = 0;
    }
    Mine = References;
    InterlockedIncrement(Mine);
    ExReleaseFastMutex(&OtherFastMutex);
    if (Case->Mended)
        ExAcquireFastMutex(&OtherFastMutex);
    InterlockedDecrement(Mine);
    if (*Mine == 0) {
        References = NULL;
        ExFreePoolWithTag((PVOID)Mine, TAG);
    }
    if (Case->Mended)
        ExReleaseFastMutex(&OtherFastMutex);
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

static NTSTATUS MakesTable(VOID)
{
    Table = ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
    return Table != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static VOID FreesTable(VOID)
{
    ULONG *Mine = Table;

    Table = NULL;
    if (Mine != NULL)
        ExFreePoolWithTag(Mine, TAG);
}

const DRIVER_CASE RaceCases[] = {
    {.Name = L"counts-unlocked", .Callback = CountsCalls, .Unload = SaysCount},
    {.Name = L"counts-locked", .Callback = CountsCalls, .Unload = SaysCount, .Mended = TRUE},
    {.Name = L"counts-plainly", .Callback = CountsPlainly, .Unload = SaysCount},
    {.Name = L"counts-interlocked", .Callback = CountsPlainly, .Unload = SaysCount, .Mended = TRUE},
    {.Name = L"counts-often", .Callback = CountsOften, .Unload = SaysCount},
    {.Name = L"counts-often-interlocked", .Callback = CountsOften, .Unload = SaysCount, .Mended = TRUE},
    {.Name = L"prints-unlocked", .Callback = PrintsInPieces},
    {.Name = L"prints-locked", .Callback = PrintsInPieces, .Mended = TRUE},
    {.Name = L"lists-unlocked", .Callback = KeepsList, .Unload = CountsList},
    {.Name = L"lists-locked", .Callback = KeepsList, .Unload = CountsList, .Mended = TRUE},
    {.Name = L"takes-first-unlocked", .Callback = TakesFromList, .Unload = EmptiesList},
    {.Name = L"takes-first-locked", .Callback = TakesFromList, .Unload = EmptiesList, .Mended = TRUE},
    {.Name = L"drops-unlocked", .Callback = DropsReference},
    {.Name = L"drops-locked", .Callback = DropsReference, .Mended = TRUE},
    {.Name = L"publishes-unlocked", .Callback = Publishes},
    {.Name = L"publishes-locked", .Callback = Publishes, .Mended = TRUE},
    {.Name = L"fills-unlocked", .Callback = FillsTable},
    {.Name = L"fills-locked", .Callback = FillsTable, .Mended = TRUE},
    {.Name = L"frees-before-removal", .Entry = MakesTable, .Callback = UsesTable, .BeforeRemoval = FreesTable},
    {.Name = L"frees-after-removal", .Entry = MakesTable, .Callback = UsesTable, .Unload = FreesTable, .Mended = TRUE},
    {.Name = NULL},
};
