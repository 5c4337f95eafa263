#include "service.h"

#include "../advapi.h"
#include "../arguments.h"
#include "../services.h"
#include "../text.h"
#include "serve.h"

static const WCHAR COPY_NAME[] = L"procnotify-helper.exe";

/* How often, and how far apart, it is looked whether the service's process has ended. */
#define END_TRIES 100
#define END_MILLISECONDS 20

static struct {
    PCWSTR Port;
    DWORD Baud;
    volatile BOOL Stopping;
    SERVICE_STATUS_HANDLE Handle;
} Service;

/* Beside this program: so the harness can put another one in this one's place while the service runs. */
static DWORD PathOfCopy(PWSTR Own, PWSTR Copy)
{
    const DWORD Length = GetModuleFileNameW(NULL, Own, MAX_PATH);
    DWORD Folder = Length;

    if (Length == 0 || Length >= MAX_PATH)
        return Length == 0 ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    while (Folder > 0 && Own[Folder - 1] != L'\\')
        --Folder;
    if (Folder + ARRAYSIZE(COPY_NAME) > MAX_PATH)
        return ERROR_FILENAME_EXCED_RANGE;
    lstrcpynW(Copy, Own, (int)Folder + 1);
    lstrcatW(Copy, COPY_NAME);
    return ERROR_SUCCESS;
}

DWORD InstallHelper(PCWSTR Port, DWORD Baud)
{
    static WCHAR CommandLine[ARGUMENT_CAPACITY], Own[MAX_PATH], Copy[MAX_PATH];
    WCHAR Digits[DIGITS_CAPACITY];
    DWORD Status = PathOfCopy(Own, Copy);

    if (Status != ERROR_SUCCESS)
        return Status;
    WriteNumber(Digits, Baud);
    lstrcpyW(CommandLine, L"\"");
    lstrcatW(CommandLine, Copy);
    lstrcatW(CommandLine, L"\" serve \"");
    lstrcatW(CommandLine, Port);
    lstrcatW(CommandLine, L"\" ");
    lstrcatW(CommandLine, Digits);
    lstrcatW(CommandLine, L" --service");

    /* That fails while the service runs. */
    const DWORD Copied = CopyFileW(Own, Copy, FALSE) ? ERROR_SUCCESS : GetLastError();
    Status = InstallService(HELPER_SERVICE, CommandLine, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START);
    /* It may be what we are started by, so it is not stopped. */
    if (Status == ERROR_SUCCESS || Status == ERROR_SERVICE_ALREADY_RUNNING)
        return ERROR_SUCCESS;
    return Copied != ERROR_SUCCESS ? Copied : Status;
}

DWORD RemoveHelper(VOID)
{
    static WCHAR Own[MAX_PATH], Copy[MAX_PATH];
    DWORD Status = PathOfCopy(Own, Copy);

    if (Status != ERROR_SUCCESS)
        return Status;
    Status = RemoveService(HELPER_SERVICE);
    /* A service that has stopped still has to end its process. */
    for (int Tries = 0; Tries < END_TRIES && !DeleteFileW(Copy); ++Tries) {
        if (GetLastError() == ERROR_FILE_NOT_FOUND)
            break;
        Sleep(END_MILLISECONDS);
    }
    return Status;
}

static VOID Report(DWORD State)
{
    SERVICE_STATUS Status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS,
        .dwCurrentState = State,
        .dwControlsAccepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN};

    Advapi.SetServiceStatus(Service.Handle, &Status);
}

static VOID WINAPI Control(DWORD Request)
{
    if (Request == SERVICE_CONTROL_STOP || Request == SERVICE_CONTROL_SHUTDOWN) {
        Report(SERVICE_STOP_PENDING);
        Service.Stopping = TRUE;
    }
}

static VOID WINAPI ServiceMain(DWORD Count, PWSTR *Arguments)
{
    (void)Count;
    (void)Arguments;
    Service.Handle = Advapi.RegisterServiceCtrlHandlerW(HELPER_SERVICE, Control);
    Report(SERVICE_RUNNING);
    ServePort(Service.Port, Service.Baud, &Service.Stopping);
    Report(SERVICE_STOPPED);
}

DWORD RunAsService(PCWSTR Port, DWORD Baud)
{
    const SERVICE_TABLE_ENTRYW Services[] = {{(PWSTR)HELPER_SERVICE, ServiceMain}, {NULL, NULL}};
    const DWORD Status = LoadAdvapi();

    if (Status != ERROR_SUCCESS)
        return Status;
    Service.Port = Port;
    Service.Baud = Baud;
    return Advapi.StartServiceCtrlDispatcherW(Services) ? ERROR_SUCCESS : GetLastError();
}
