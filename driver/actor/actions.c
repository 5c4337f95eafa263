#include "actions.h"
#include "devices.h"

/* How long to wait for a thread or process that has nothing left to do but end. */
#define END_MILLISECONDS 10000

/* A wait as a Win32 error. */
static DWORD WaitForEnd(HANDLE Object)
{
    switch (WaitForSingleObject(Object, END_MILLISECONDS)) {
    case WAIT_OBJECT_0:
        return ERROR_SUCCESS;
    case WAIT_TIMEOUT:
        return ERROR_TIMEOUT;
    default:
        return GetLastError();
    }
}

/* What Windows Vista brought: STARTUPINFOEXW, and the attribute that says whose child a process is. */
#define WITH_ATTRIBUTES 0x00080000
#define PARENT_ATTRIBUTE 0x00020000

typedef struct STARTUP {
    STARTUPINFOW Info;
    PVOID Attributes;
} STARTUP;

typedef BOOL(WINAPI *INITIALIZE_LIST)(PVOID List, DWORD Count, DWORD Flags, PSIZE_T Size);
typedef BOOL(WINAPI *UPDATE_ATTRIBUTE)(
    PVOID List, DWORD Flags, DWORD_PTR Attribute, PVOID Value, SIZE_T Size, PVOID Before, PSIZE_T Returned);

/* FALSE with a last error; *Parent has to stay where it is. */
static BOOL NameParent(STARTUP *Startup, PHANDLE Parent)
{
    static ULONG_PTR Room[16];
    const HMODULE Kernel = GetModuleHandleW(L"kernel32.dll");
    const INITIALIZE_LIST Initialize =
        (INITIALIZE_LIST)(ULONG_PTR)GetProcAddress(Kernel, "InitializeProcThreadAttributeList");
    const UPDATE_ATTRIBUTE Update = (UPDATE_ATTRIBUTE)(ULONG_PTR)GetProcAddress(Kernel, "UpdateProcThreadAttribute");
    SIZE_T Size = sizeof(Room);

    if (Initialize == NULL || Update == NULL)
        return FALSE;
    Startup->Info.cb = sizeof(*Startup);
    Startup->Attributes = Room;
    return Initialize(Room, 1, 0, &Size) && Update(Room, 0, PARENT_ATTRIBUTE, Parent, sizeof(*Parent), NULL, NULL);
}

/*
 * The child gets no handle and no console of ours: one that inherited our standard output would keep whoever
 * waits for its end waiting, and a console of its own would bring a conhost.exe into the trace.
 */
static BOOL Start(ARGUMENTS *Arguments, STARTUP *Startup, RESULT *Result)
{
    static WCHAR CommandLine[ARGUMENT_CAPACITY];
    const DWORD Flags = DETACHED_PROCESS | (Startup->Attributes != NULL ? WITH_ATTRIBUTES : 0);
    PROCESS_INFORMATION Child;

    if (*Arguments->Rest == L'\0')
        return FALSE;
    lstrcpynW(CommandLine, Arguments->Rest, ARGUMENT_CAPACITY);
    if (!CreateProcessW(NULL, CommandLine, NULL, NULL, FALSE, Flags, NULL, NULL, &Startup->Info, &Child)) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->ChildProcessId = Child.dwProcessId;
    Result->ChildThreadId = Child.dwThreadId;
    CloseHandle(Child.hThread);
    CloseHandle(Child.hProcess);
    return TRUE;
}

static BOOL Launch(ARGUMENTS *Arguments, RESULT *Result)
{
    STARTUP Startup = {.Info.cb = sizeof(Startup.Info)};

    return Start(Arguments, &Startup, Result);
}

static BOOL LaunchFor(ARGUMENTS *Arguments, RESULT *Result)
{
    STARTUP Startup = {.Attributes = NULL};
    BOOL Understood = TRUE;
    DWORD ProcessId;
    HANDLE Parent;

    if (!TakeNumber(Arguments, &ProcessId))
        return FALSE;
    Parent = OpenProcess(PROCESS_CREATE_PROCESS, FALSE, ProcessId);
    if (Parent == NULL) {
        Result->Status = GetLastError();
        return TRUE;
    }
    if (NameParent(&Startup, &Parent))
        Understood = Start(Arguments, &Startup, Result);
    else
        Result->Status = GetLastError();
    CloseHandle(Parent);
    return Understood;
}

/* Waits for the end of the program, which is ended where that takes too long. */
static BOOL Run(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR CommandLine[ARGUMENT_CAPACITY];
    STARTUPINFOW Startup = {.cb = sizeof(Startup)};
    PROCESS_INFORMATION Child;
    DWORD Milliseconds;

    if (!TakeNumber(Arguments, &Milliseconds) || *Arguments->Rest == L'\0')
        return FALSE;
    lstrcpynW(CommandLine, Arguments->Rest, ARGUMENT_CAPACITY);
    if (!CreateProcessW(
            NULL, CommandLine, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &Startup, &Child)) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->ChildProcessId = Child.dwProcessId;
    Result->ChildThreadId = Child.dwThreadId;
    if (WaitForSingleObject(Child.hProcess, Milliseconds) == WAIT_TIMEOUT) {
        TerminateProcess(Child.hProcess, ERROR_TIMEOUT);
        WaitForEnd(Child.hProcess);
        Result->Status = ERROR_TIMEOUT;
    } else if (GetExitCodeProcess(Child.hProcess, &Result->ChildExitCode)) {
        Result->HasChildEnded = TRUE;
    } else {
        Result->Status = GetLastError();
    }
    CloseHandle(Child.hThread);
    CloseHandle(Child.hProcess);
    return TRUE;
}

static BOOL Terminate(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId, Code = 0;

    if (!TakeNumber(Arguments, &ProcessId))
        return FALSE;
    if (*Arguments->Rest != L'\0' && !TakeNumber(Arguments, &Code))
        return FALSE;

    const HANDLE Process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, ProcessId);
    if (Process == NULL) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->Status = TerminateProcess(Process, Code) ? WaitForEnd(Process) : GetLastError();
    CloseHandle(Process);
    return TRUE;
}

static DWORD WINAPI EmptyThread(PVOID Parameter)
{
    (void)Parameter;
    return 0;
}

static BOOL CreateOwnThread(ARGUMENTS *Arguments, RESULT *Result)
{
    (void)Arguments;

    const HANDLE Thread = CreateThread(NULL, 0, EmptyThread, NULL, 0, &Result->NewThreadId);
    if (Thread == NULL) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->Status = WaitForEnd(Thread);
    CloseHandle(Thread);
    return TRUE;
}

/*
 * Runs a function of kernel32 in another process: kernel32 and what it forwards to lie at the same address in
 * every process of a boot that has our architecture. Returns the thread's exit code in *ExitCode.
 */
static DWORD RunInProcess(HANDLE Process, PCSTR Function, PVOID Parameter, PDWORD ThreadId, PDWORD ExitCode)
{
    const PVOID Address = (PVOID)GetProcAddress(GetModuleHandleW(L"kernel32.dll"), Function);
    HANDLE Thread;
    DWORD Status;

    if (Address == NULL)
        return GetLastError();
    Thread = CreateRemoteThread(Process, NULL, 0, (LPTHREAD_START_ROUTINE)Address, Parameter, 0, ThreadId);
    if (Thread == NULL)
        return GetLastError();
    Status = WaitForEnd(Thread);
    if (Status == ERROR_SUCCESS && !GetExitCodeThread(Thread, ExitCode))
        Status = GetLastError();
    CloseHandle(Thread);
    return Status;
}

#define INJECTION_ACCESS \
    (PROCESS_CREATE_THREAD | PROCESS_QUERY_INFORMATION | PROCESS_VM_OPERATION | PROCESS_VM_READ | \
        PROCESS_VM_WRITE)

/* The thread starts at ExitThread, with 0 as its exit code. */
static BOOL CreateRemote(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD ProcessId, ExitCode;

    if (!TakeNumber(Arguments, &ProcessId))
        return FALSE;

    const HANDLE Process = OpenProcess(INJECTION_ACCESS, FALSE, ProcessId);
    if (Process == NULL) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->Status = RunInProcess(Process, "ExitThread", NULL, &Result->NewThreadId, &ExitCode);
    CloseHandle(Process);
    return TRUE;
}

static BOOL LoadTimes(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR Path[ARGUMENT_CAPACITY];
    DWORD Times = 1;

    if (!TakeArgument(Arguments))
        return FALSE;
    lstrcpynW(Path, Arguments->Current, ARGUMENT_CAPACITY);
    if (*Arguments->Rest != L'\0' && (!TakeNumber(Arguments, &Times) || Times == 0))
        return FALSE;
    while (Times-- > 0 && Result->Status == ERROR_SUCCESS) {
        Result->Base = LoadLibraryW(Path);
        if (Result->Base == NULL)
            Result->Status = GetLastError();
    }
    return TRUE;
}

/* The helper starts afresh for every action, so this loads what it frees. */
static BOOL Free(ARGUMENTS *Arguments, RESULT *Result)
{
    if (!TakeArgument(Arguments))
        return FALSE;
    Result->Base = LoadLibraryW(Arguments->Current);
    if (Result->Base == NULL || !FreeLibrary(Result->Base))
        Result->Status = GetLastError();
    return TRUE;
}

/* LoadLibraryW in the other process, with a path that was written into it. */
static DWORD LoadInProcess(HANDLE Process, PCWSTR Path, PDWORD ThreadId)
{
    const SIZE_T Size = ((SIZE_T)lstrlenW(Path) + 1) * sizeof(WCHAR);
    const PVOID Remote = VirtualAllocEx(Process, NULL, Size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    DWORD Status, Module;

    if (Remote == NULL)
        return GetLastError();
    if (!WriteProcessMemory(Process, Remote, Path, Size, NULL))
        Status = GetLastError();
    else
        Status = RunInProcess(Process, "LoadLibraryW", Remote, ThreadId, &Module);
    /* A thread that is still running may still read the path. */
    if (Status != ERROR_TIMEOUT)
        VirtualFreeEx(Process, Remote, 0, MEM_RELEASE);
    if (Status == ERROR_SUCCESS && Module == 0)
        return ERROR_MOD_NOT_FOUND;
    return Status;
}

static BOOL Inject(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR Path[ARGUMENT_CAPACITY];
    DWORD ProcessId;

    /* The other process has another current folder. */
    if (!TakeNumber(Arguments, &ProcessId) || !TakePath(Arguments, Path, &Result->Status))
        return FALSE;
    if (Result->Status != ERROR_SUCCESS)
        return TRUE;
    const HANDLE Process = OpenProcess(INJECTION_ACCESS, FALSE, ProcessId);
    if (Process == NULL) {
        Result->Status = GetLastError();
        return TRUE;
    }
    Result->Status = LoadInProcess(Process, Path, &Result->NewThreadId);
    CloseHandle(Process);
    return TRUE;
}

static BOOL SleepFor(ARGUMENTS *Arguments, RESULT *Result)
{
    DWORD Milliseconds;

    (void)Result;
    if (!TakeNumber(Arguments, &Milliseconds) || Milliseconds == INFINITE)
        return FALSE;
    Sleep(Milliseconds);
    return TRUE;
}

static BOOL Exit(ARGUMENTS *Arguments, RESULT *Result)
{
    return TakeNumber(Arguments, &Result->ExitCode);
}

const ACTION_ENTRY Actions[] = {
    {L"launch", "launch", Launch},
    {L"launch-for", "launch-for", LaunchFor},
    {L"run", "run", Run},
    {L"terminate", "terminate", Terminate},
    {L"create-thread", "create-thread", CreateOwnThread},
    {L"create-remote-thread", "create-remote-thread", CreateRemote},
    {L"load-library", "load-library", LoadTimes},
    {L"free-library", "free-library", Free},
    {L"inject", "inject", Inject},
    {L"sleep", "sleep", SleepFor},
    {L"exit", "exit", Exit},
    {L"open-device", "open-device", OpenDevice},
    {L"ioctl", "ioctl", ControlDevice},
    {L"read-device", "read-device", ReadDevice},
    {L"write-device", "write-device", WriteDevice},
    {L"await-io", "await-io", AwaitIo},
    {L"cancel-io", "cancel-io", CancelDeviceIo},
    {L"close-device", "close-device", CloseDevice},
    {NULL, NULL, NULL},
};
