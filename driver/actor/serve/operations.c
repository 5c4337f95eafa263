#include "operations.h"

#include "../arguments.h"
#include "files.h"
#include "program.h"

/* A host that waits longer asks again, and shows by it that it is still there. */
#define LONGEST_WAIT 5000

/* A command line or a path, put together from pieces: UTF-8, up to 3 bytes a character. */
static struct {
    DWORD Count;
    CHAR Bytes[3 * ARGUMENT_CAPACITY];
} Text;

static struct {
    DWORD Started;
    DWORD Milliseconds;
} Wait;

/* The text in UTF-16, terminated; NULL when it is none. */
static PWSTR TakeText(VOID)
{
    static WCHAR Wide[ARGUMENT_CAPACITY];
    int Length = 0;

    if (Text.Count != 0) {
        Length = MultiByteToWideChar(
            CP_UTF8, MB_ERR_INVALID_CHARS, Text.Bytes, (int)Text.Count, Wide, ARGUMENT_CAPACITY - 1);
        if (Length == 0)
            return NULL;
    }
    Wide[Length] = L'\0';
    Text.Count = 0;
    return Wide;
}

static DWORD Hello(PAYLOAD *Asked, PAYLOAD *Answer)
{
    (void)Asked;
    PutDword(Answer, PROTOCOL_VERSION);
    PutDword(Answer, GetCurrentProcessId());
    return ERROR_SUCCESS;
}

static DWORD Ping(PAYLOAD *Asked, PAYLOAD *Answer)
{
    PutBytes(Answer, Asked->Bytes, Asked->Count);
    return ERROR_SUCCESS;
}

static DWORD Clock(PAYLOAD *Asked, PAYLOAD *Answer)
{
    FILETIME Now;

    (void)Asked;
    GetSystemTimeAsFileTime(&Now);
    PutDword(Answer, Now.dwLowDateTime);
    PutDword(Answer, Now.dwHighDateTime);
    PutDword(Answer, GetTickCount());
    return ERROR_SUCCESS;
}

static DWORD AddText(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Offset;

    (void)Answer;
    if (!GetDword(Asked, &Offset) || (Offset != 0 && Offset != Text.Count))
        return ERROR_INVALID_DATA;
    if (Asked->Count > sizeof(Text.Bytes) - Offset)
        return ERROR_FILENAME_EXCED_RANGE;
    CopyMemory(Text.Bytes + Offset, Asked->Bytes, Asked->Count);
    Text.Count = Offset + Asked->Count;
    return ERROR_SUCCESS;
}

static DWORD Run(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Milliseconds, Status;

    if (!GetDword(Asked, &Milliseconds))
        return ERROR_INVALID_DATA;
    const PWSTR CommandLine = TakeText();
    if (CommandLine == NULL)
        return ERROR_NO_UNICODE_TRANSLATION;
    Status = StartProgram(CommandLine, Milliseconds);
    if (Status == ERROR_SUCCESS)
        PutDword(Answer, Program.ProcessId);
    return Status;
}

static DWORD WaitForProgram(PAYLOAD *Asked, PAYLOAD *Answer)
{
    (void)Answer;
    if (!GetDword(Asked, &Wait.Milliseconds) || Program.State == PROGRAM_NONE)
        return ERROR_INVALID_DATA;
    Wait.Milliseconds = min(Wait.Milliseconds, LONGEST_WAIT);
    Wait.Started = GetTickCount();
    return STATUS_LATER;
}

BOOL IsWaitOver(PAYLOAD *Answer)
{
    WatchProgram();
    if (Program.State == PROGRAM_RUNS && GetTickCount() - Wait.Started < Wait.Milliseconds)
        return FALSE;
    PutDword(Answer, (DWORD)Program.State);
    PutDword(Answer, Program.ExitCode);
    for (int i = 0; i < STREAM_COUNT; ++i) {
        PutDword(Answer, Program.Outputs[i].Count);
        PutDword(Answer, Program.Outputs[i].Dropped);
    }
    return TRUE;
}

static DWORD ReadOutput(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Stream, Offset;

    if (!GetDword(Asked, &Stream) || !GetDword(Asked, &Offset) || Stream >= STREAM_COUNT ||
        Offset > Program.Outputs[Stream].Count)
        return ERROR_INVALID_DATA;
    PutBytes(Answer, Program.Outputs[Stream].Bytes + Offset,
        min(Program.Outputs[Stream].Count - Offset, Answer->Capacity - Answer->Count));
    return ERROR_SUCCESS;
}

static DWORD Put(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Size;

    (void)Answer;
    if (!GetDword(Asked, &Size))
        return ERROR_INVALID_DATA;
    const PCWSTR Path = TakeText();
    return Path != NULL ? BeginPut(Path, Size) : ERROR_NO_UNICODE_TRANSLATION;
}

static DWORD Piece(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Offset;

    (void)Answer;
    return GetDword(Asked, &Offset) ? PutPiece(Offset, Asked->Bytes, Asked->Count) : ERROR_INVALID_DATA;
}

static DWORD Store(PAYLOAD *Asked, PAYLOAD *Answer)
{
    (void)Asked;
    (void)Answer;
    return StoreFile();
}

static DWORD Get(PAYLOAD *Asked, PAYLOAD *Answer)
{
    LARGE_INTEGER Size;
    DWORD Limit, Status;

    if (!GetDword(Asked, &Limit))
        return ERROR_INVALID_DATA;
    const PCWSTR Path = TakeText();
    if (Path == NULL)
        return ERROR_NO_UNICODE_TRANSLATION;
    Status = BeginGet(Path, Limit, &Size);
    PutDword(Answer, Size.LowPart);
    PutDword(Answer, (DWORD)Size.HighPart);
    return Status;
}

static DWORD Read(PAYLOAD *Asked, PAYLOAD *Answer)
{
    DWORD Offset, Count, Status;

    if (!GetDword(Asked, &Offset))
        return ERROR_INVALID_DATA;
    Status = GetPiece(
        Offset, Answer->Bytes + Answer->Count, Answer->Capacity - Answer->Count, &Count);
    Answer->Count += Count;
    return Status;
}

/* By the number of the operation. */
static DWORD (*const Operations[])(PAYLOAD *Asked, PAYLOAD *Answer) = {
    NULL, Hello, Ping, Clock, AddText, Run, WaitForProgram, ReadOutput, Put, Piece, Store, Get, Read};

DWORD Perform(BYTE Operation, PAYLOAD *Asked, PAYLOAD *Answer)
{
    if (Operation >= ARRAYSIZE(Operations) || Operations[Operation] == NULL)
        return ERROR_INVALID_FUNCTION;
    return Operations[Operation](Asked, Answer);
}

VOID DropEverything(VOID)
{
    DropProgram();
    DropFile();
    Text.Count = 0;
}
