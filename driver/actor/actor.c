/*
 * actor.exe, the guest helper: does exactly one action, and says so twice. A line of JSON on standard output
 * goes to the harness; two markers by DbgPrintEx go to the kernel debugger, among the driver's lines.
 *
 *     actor.exe [--id N] ACTION ARGUMENTS...
 *     actor.exe [--id N] COMMAND ARGUMENTS...
 *
 * A command is what the harness itself needs done in the guest. It is no step of a scenario and has no markers.
 *
 * Exit code: 0, or 1 when it failed, or 2 for a wrong command line; `exit CODE` ends with CODE.
 */
#include "actions.h"
#include "commands.h"
#include "text.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
/* Bytes of an answer that are written at a time. */
#define OUTPUT_PIECE 64

static PCSTR Usage =
    "usage: actor.exe [--id N] launch IMAGE [ARGUMENTS] | launch-for PID IMAGE [ARGUMENTS] | "
    "run MS IMAGE [ARGUMENTS] | terminate PID [CODE] | create-thread | "
    "create-remote-thread PID | load-library PATH [TIMES] | free-library PATH | inject PID PATH | sleep MS | "
    "exit CODE | open-device NAME | ioctl PID CODE INPUT LENGTH BUFFER PENDING | "
    "read-device PID LENGTH OFFSET PENDING | write-device PID INPUT OFFSET PENDING | await-io PID | "
    "cancel-io PID | close-device PID";
static PCSTR UsageOfCommands =
    "       actor.exe [--id N] start NAME PATH | stop NAME | serve PORT [BAUD] [--install | --uninstall] | "
    "keep-device NAME";

static VOID PutMarker(TEXT_LINE *Line, PCSTR Phase, PCSTR Action, DWORD Id)
{
    PutText(Line, "[actor] ");
    PutText(Line, Phase);
    PutText(Line, " ");
    PutText(Line, Action);
    PutText(Line, " id=");
    PutNumber(Line, Id);
    PutText(Line, " pid=");
    PutNumber(Line, GetCurrentProcessId());
}

static VOID SayBegin(PCSTR Action, DWORD Id)
{
    TEXT_LINE Line = {.Length = 0};

    PutMarker(&Line, "begin", Action, Id);
    SayToDebugger(&Line);
}

static VOID SayEnd(PCSTR Action, DWORD Id, DWORD Status)
{
    TEXT_LINE Line = {.Length = 0};

    PutMarker(&Line, "end", Action, Id);
    PutText(&Line, " status=");
    PutNumber(&Line, Status);
    SayToDebugger(&Line);
}

static VOID PutMember(TEXT_LINE *Line, PCSTR Name, DWORD Value)
{
    PutText(Line, ",\"");
    PutText(Line, Name);
    PutText(Line, "\":");
    PutNumber(Line, Value);
}

/* The rest of the line, of which not all fits into one piece. */
static BOOL WriteOutput(TEXT_LINE *Line, const RESULT *Result)
{
    PutText(Line, ",\"output\":\"");
    for (DWORD i = 0; i < Result->OutputLength; ++i) {
        PutByteInHex(Line, Result->Output[i]);
        if (i % OUTPUT_PIECE == OUTPUT_PIECE - 1 && !WritePieceTo(STD_OUTPUT_HANDLE, Line))
            return FALSE;
    }
    PutText(Line, "\"}");
    return WriteTo(STD_OUTPUT_HANDLE, Line);
}

static BOOL WriteResult(PCSTR Action, DWORD Id, const RESULT *Result)
{
    TEXT_LINE Line = {.Length = 0};

    PutText(&Line, "{\"action\":\"");
    PutText(&Line, Action);
    PutText(&Line, "\"");
    PutMember(&Line, "id", Id);
    PutMember(&Line, "pid", GetCurrentProcessId());
    PutMember(&Line, "tid", GetCurrentThreadId());
    PutMember(&Line, "status", Result->Status);
    if (Result->ChildProcessId != 0) {
        PutMember(&Line, "child_pid", Result->ChildProcessId);
        PutMember(&Line, "child_tid", Result->ChildThreadId);
    }
    if (Result->HasChildEnded)
        PutMember(&Line, "exit_code", Result->ChildExitCode);
    if (Result->NewThreadId != 0)
        PutMember(&Line, "new_tid", Result->NewThreadId);
    if (Result->Base != NULL) {
        PutText(&Line, ",\"base\":\"");
        PutHex(&Line, (ULONG_PTR)Result->Base);
        PutText(&Line, "\"");
    }
    if (Result->IsAnswer)
        PutMember(&Line, "returned", Result->Returned);
    if (Result->OutputLength > 0)
        return WriteOutput(&Line, Result);
    PutText(&Line, "}");
    return WriteTo(STD_OUTPUT_HANDLE, &Line);
}

static const ACTION_ENTRY *Find(const ACTION_ENTRY *Entry, PCWSTR Word)
{
    while (Entry->Word != NULL && lstrcmpW(Entry->Word, Word) != 0)
        ++Entry;
    return Entry->Word != NULL ? Entry : NULL;
}

/* The word of an action or a command is taken last. */
static BOOL TakeWord(ARGUMENTS *Arguments, PDWORD Id)
{
    /* The first one is the program's own name. */
    if (!TakeArgument(Arguments) || !TakeArgument(Arguments))
        return FALSE;
    if (lstrcmpW(Arguments->Current, L"--id") == 0)
        return TakeNumber(Arguments, Id) && TakeArgument(Arguments);
    return TRUE;
}

static VOID Do(const ACTION_ENTRY *Entry, ARGUMENTS *Arguments, RESULT *Result)
{
    if (!Entry->Do(Arguments, Result))
        Result->Status = ERROR_BAD_ARGUMENTS;
}

static VOID DECLSPEC_NORETURN FailUsage(VOID)
{
    TEXT_LINE Line = {.Length = 0}, More = {.Length = 0};

    PutText(&Line, Usage);
    WriteTo(STD_ERROR_HANDLE, &Line);
    PutText(&More, UsageOfCommands);
    WriteTo(STD_ERROR_HANDLE, &More);
    ExitProcess(EXIT_USAGE);
}

VOID DECLSPEC_NORETURN EntryPoint(VOID)
{
    static ARGUMENTS Arguments;
    RESULT Result = {.Status = ERROR_SUCCESS};
    DWORD Id = 0;

    Arguments.Rest = GetCommandLineW();
    if (!TakeWord(&Arguments, &Id))
        FailUsage();
    const ACTION_ENTRY *Entry = Find(Actions, Arguments.Current);
    if (Entry != NULL) {
        SayBegin(Entry->Name, Id);
        Do(Entry, &Arguments, &Result);
        SayEnd(Entry->Name, Id, Result.Status);
    } else {
        Entry = Find(Commands, Arguments.Current);
        if (Entry == NULL)
            FailUsage();
        Do(Entry, &Arguments, &Result);
    }

    if (!WriteResult(Entry->Name, Id, &Result) || (Result.Status != ERROR_SUCCESS && Result.ExitCode == 0))
        Result.ExitCode = EXIT_FAILED;
    ExitProcess(Result.ExitCode);
}
