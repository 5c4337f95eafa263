#include "program.h"

/* So much of a program's output waits for us without making the program wait. */
#define PIPE_SIZE (64 * 1024)

PROGRAM Program = {.State = PROGRAM_NONE};

/* What is there already: a pipe that somebody else still holds is not waited for. */
static VOID Drain(OUTPUT *Output)
{
    static BYTE Rest[4096];
    DWORD Available, Count;

    while (PeekNamedPipe(Output->Pipe, NULL, 0, NULL, &Available, NULL) && Available != 0) {
        const DWORD Room = OUTPUT_CAPACITY - Output->Count;
        const PBYTE To = Room != 0 ? Output->Bytes + Output->Count : Rest;
        const DWORD Most = Room != 0 ? Room : sizeof(Rest);

        if (!ReadFile(Output->Pipe, To, min(Available, Most), &Count, NULL))
            return;
        *(Room != 0 ? &Output->Count : &Output->Dropped) += Count;
    }
}

static VOID Leave(PROGRAM_STATE State)
{
    for (int i = 0; i < STREAM_COUNT; ++i) {
        Drain(&Program.Outputs[i]);
        CloseHandle(Program.Outputs[i].Pipe);
    }
    CloseHandle(Program.Process);
    Program.State = State;
}

VOID WatchProgram(VOID)
{
    if (Program.State != PROGRAM_RUNS)
        return;
    if (WaitForSingleObject(Program.Process, 0) == WAIT_OBJECT_0) {
        GetExitCodeProcess(Program.Process, &Program.ExitCode);
        Leave(PROGRAM_ENDED);
    } else if (GetTickCount() - Program.Started >= Program.Milliseconds) {
        /* Its end is not waited for: a thread that hangs in a driver does not end. */
        TerminateProcess(Program.Process, ERROR_TIMEOUT);
        Leave(PROGRAM_TERMINATED);
    } else {
        for (int i = 0; i < STREAM_COUNT; ++i)
            Drain(&Program.Outputs[i]);
    }
}

VOID DropProgram(VOID)
{
    if (Program.State == PROGRAM_RUNS) {
        TerminateProcess(Program.Process, ERROR_CANCELLED);
        Leave(PROGRAM_NONE);
    }
    for (int i = 0; i < STREAM_COUNT; ++i)
        Program.Outputs[i].Count = Program.Outputs[i].Dropped = 0;
    Program.State = PROGRAM_NONE;
}

/* The reading end stays with us, the writing end is the program's. */
static DWORD MakePipe(OUTPUT *Output, PHANDLE Writing)
{
    SECURITY_ATTRIBUTES Inherited = {.nLength = sizeof(Inherited), .bInheritHandle = TRUE};

    if (Output->Bytes == NULL) {
        Output->Bytes = VirtualAlloc(NULL, OUTPUT_CAPACITY, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
        if (Output->Bytes == NULL)
            return GetLastError();
    }
    if (!CreatePipe(&Output->Pipe, Writing, &Inherited, PIPE_SIZE))
        return GetLastError();
    SetHandleInformation(Output->Pipe, HANDLE_FLAG_INHERIT, 0);
    return ERROR_SUCCESS;
}

static VOID CloseIfOpen(HANDLE Handle)
{
    if (Handle != NULL && Handle != INVALID_HANDLE_VALUE)
        CloseHandle(Handle);
}

/* No console: it would bring a conhost.exe into the trace. */
static DWORD Create(PWSTR CommandLine, HANDLE Input, const HANDLE *Writing)
{
    STARTUPINFOW Startup = {.cb = sizeof(Startup),
        .dwFlags = STARTF_USESTDHANDLES,
        .hStdInput = Input,
        .hStdOutput = Writing[0],
        .hStdError = Writing[1]};
    PROCESS_INFORMATION Child;

    if (!CreateProcessW(
            NULL, CommandLine, NULL, NULL, TRUE, DETACHED_PROCESS, NULL, NULL, &Startup, &Child))
        return GetLastError();
    CloseHandle(Child.hThread);
    Program.Process = Child.hProcess;
    Program.ProcessId = Child.dwProcessId;
    return ERROR_SUCCESS;
}

DWORD StartProgram(PWSTR CommandLine, DWORD Milliseconds)
{
    SECURITY_ATTRIBUTES Inherited = {.nLength = sizeof(Inherited), .bInheritHandle = TRUE};
    HANDLE Writing[STREAM_COUNT] = {NULL, NULL};
    DWORD Status = ERROR_SUCCESS;

    DropProgram();
    for (int i = 0; i < STREAM_COUNT; ++i)
        Program.Outputs[i].Pipe = NULL;
    const HANDLE Input = CreateFileW(
        L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &Inherited, OPEN_EXISTING, 0, NULL);
    for (int i = 0; i < STREAM_COUNT && Status == ERROR_SUCCESS; ++i)
        Status = MakePipe(&Program.Outputs[i], &Writing[i]);
    if (Status == ERROR_SUCCESS)
        Status = Create(CommandLine, Input, Writing);

    CloseIfOpen(Input);
    for (int i = 0; i < STREAM_COUNT; ++i) {
        CloseIfOpen(Writing[i]);
        if (Status != ERROR_SUCCESS)
            CloseIfOpen(Program.Outputs[i].Pipe);
    }
    if (Status != ERROR_SUCCESS)
        return Status;
    Program.Started = GetTickCount();
    Program.Milliseconds = Milliseconds;
    Program.State = PROGRAM_RUNS;
    return ERROR_SUCCESS;
}
