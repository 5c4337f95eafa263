#include "devices.h"
#include "devicepipe.h"
#include "text.h"

/* How long the process that keeps a device open may take to get ready, and between two looks at it. */
#define READY_MILLISECONDS 60000
#define AGAIN_MILLISECONDS 10

static ORDER Order;
static REPLY Reply;

VOID WritePipeName(PWSTR Name, DWORD ProcessId)
{
    lstrcpyW(Name, L"\\\\.\\pipe\\procnotify-device-");
    WriteNumber(Name + lstrlenW(Name), ProcessId);
}

static BOOL HexDigit(WCHAR Character, PBYTE Digit)
{
    if (Character >= L'0' && Character <= L'9')
        *Digit = (BYTE)(Character - L'0');
    else if (Character >= L'a' && Character <= L'f')
        *Digit = (BYTE)(Character - L'a' + 10);
    else
        return FALSE;
    return TRUE;
}

static BOOL ReadAddress(PCWSTR Text, PASSED_BUFFER *Buffer)
{
    for (; *Text != L':'; ++Text) {
        const DWORD Digit = (DWORD)(*Text - L'0');

        if (*Text < L'0' || *Text > L'9' || Buffer->Address > (~0ULL - Digit) / 10)
            return FALSE;
        Buffer->Address = Buffer->Address * 10 + Digit;
    }
    Buffer->IsAddress = TRUE;
    return ReadNumber(Text + 1, &Buffer->Length) && Buffer->Length <= BUFFER_CAPACITY;
}

/* "-" for none, digits of hexadecimal, or "@ADDRESS:LENGTH". */
static BOOL TakeBuffer(ARGUMENTS *Arguments, PASSED_BUFFER *Buffer)
{
    PCWSTR At = Arguments->Current;

    if (!TakeArgument(Arguments))
        return FALSE;
    if (lstrcmpW(At, L"-") == 0)
        return TRUE;
    if (*At == L'@')
        return ReadAddress(At + 1, Buffer);
    for (; *At != L'\0'; At += 2) {
        BYTE High, Low;

        if (Buffer->Length == BUFFER_CAPACITY || !HexDigit(At[0], &High) || !HexDigit(At[1], &Low))
            return FALSE;
        Buffer->Bytes[Buffer->Length++] = (BYTE)(High << 4 | Low);
    }
    return TRUE;
}

static BOOL TakePending(ARGUMENTS *Arguments)
{
    DWORD Pending;

    if (!TakeNumber(Arguments, &Pending) || Pending > 1)
        return FALSE;
    Order.Pending = Pending == 1;
    return TRUE;
}

/* Hands over the order; 0 or a Win32 error, also where there is no such process or it ends meanwhile. */
static DWORD Ask(HANDLE Process, DWORD ProcessId)
{
    const DWORD Started = GetTickCount();
    WCHAR Name[PIPE_NAME_CAPACITY];
    DWORD Read;

    WritePipeName(Name, ProcessId);
    while (!CallNamedPipeW(Name, &Order, sizeof(Order), &Reply, sizeof(Reply), &Read, NMPWAIT_WAIT_FOREVER)) {
        const DWORD Status = GetLastError();

        if (Status != ERROR_FILE_NOT_FOUND || Order.Operation != OPERATION_OPEN)
            return Status == ERROR_FILE_NOT_FOUND ? ERROR_INVALID_PARAMETER : Status;
        if (WaitForSingleObject(Process, AGAIN_MILLISECONDS) == WAIT_OBJECT_0)
            return ERROR_BROKEN_PIPE;
        if (GetTickCount() - Started >= READY_MILLISECONDS)
            return ERROR_TIMEOUT;
    }
    return Read == sizeof(Reply) ? Reply.Status : ERROR_BAD_LENGTH;
}

static BOOL AskOf(DWORD ProcessId, OPERATION Operation, RESULT *Result)
{
    Order.Operation = Operation;
    Result->Status = Ask(NULL, ProcessId);
    Result->IsAnswer = TRUE;
    Result->Returned = Reply.Returned;
    Result->Output = Reply.Output;
    Result->OutputLength = min(Reply.OutputLength, BUFFER_CAPACITY);
    return TRUE;
}

BOOL OpenDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR CommandLine[2 * ARGUMENT_CAPACITY];
    STARTUPINFOW Startup = {.cb = sizeof(Startup)};
    PROCESS_INFORMATION Child;
    DWORD Length;

    if (*Arguments->Rest == L'\0')
        return FALSE;
    CommandLine[0] = L'"';
    Length = GetModuleFileNameW(NULL, CommandLine + 1, ARGUMENT_CAPACITY - 20);
    if (Length == 0) {
        Result->Status = GetLastError();
        return TRUE;
    }
    lstrcpyW(CommandLine + 1 + Length, L"\" keep-device ");
    lstrcpynW(CommandLine + lstrlenW(CommandLine), Arguments->Rest, ARGUMENT_CAPACITY);
    /* No handle and no console of ours: see Launch. */
    if (!CreateProcessW(
            NULL, CommandLine, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &Startup, &Child)) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Order.Operation = OPERATION_OPEN;
    Result->Status = Ask(Child.hProcess, Child.dwProcessId);
    if (Result->Status == ERROR_SUCCESS) {
        Result->ChildProcessId = Child.dwProcessId;
        Result->ChildThreadId = Child.dwThreadId;
    } else {
        WaitForSingleObject(Child.hProcess, INFINITE);
    }
    CloseHandle(Child.hThread);
    CloseHandle(Child.hProcess);
    return TRUE;
}

BOOL ControlDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId, Length;

    if (!TakeNumber(Arguments, &ProcessId) || !TakeNumber(Arguments, &Order.Code) ||
        !TakeBuffer(Arguments, &Order.Input) || !TakeNumber(Arguments, &Length) ||
        Length > BUFFER_CAPACITY || !TakeBuffer(Arguments, &Order.Output) || !TakePending(Arguments))
        return FALSE;
    if (!Order.Output.IsAddress)
        Order.Output.Length = max(Length, Order.Output.Length);
    return AskOf(ProcessId, OPERATION_CONTROL, Result);
}

BOOL ReadDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId;

    if (!TakeNumber(Arguments, &ProcessId) || !TakeNumber(Arguments, &Order.Output.Length) ||
        Order.Output.Length > BUFFER_CAPACITY || !TakeNumber(Arguments, &Order.Offset) ||
        !TakePending(Arguments))
        return FALSE;
    return AskOf(ProcessId, OPERATION_READ, Result);
}

BOOL WriteDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId;

    if (!TakeNumber(Arguments, &ProcessId) || !TakeBuffer(Arguments, &Order.Input) ||
        !TakeNumber(Arguments, &Order.Offset) || !TakePending(Arguments))
        return FALSE;
    return AskOf(ProcessId, OPERATION_WRITE, Result);
}

BOOL AwaitIo(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId;

    return TakeNumber(Arguments, &ProcessId) && AskOf(ProcessId, OPERATION_AWAIT, Result);
}

BOOL CancelDeviceIo(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId;

    return TakeNumber(Arguments, &ProcessId) && AskOf(ProcessId, OPERATION_CANCEL, Result);
}

/* Returns when the process is gone. */
BOOL CloseDevice(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId;

    if (!TakeNumber(Arguments, &ProcessId))
        return FALSE;

    const HANDLE Process = OpenProcess(SYNCHRONIZE, FALSE, ProcessId);
    AskOf(ProcessId, OPERATION_CLOSE, Result);
    if (Process != NULL) {
        if (Result->Status == ERROR_SUCCESS)
            WaitForSingleObject(Process, INFINITE);
        CloseHandle(Process);
    }
    return TRUE;
}
