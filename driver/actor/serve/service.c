#include "service.h"

#include "../advapi.h"
#include "../arguments.h"
#include "../services.h"
#include "../text.h"
#include "serve.h"

static struct {
    PCWSTR Port;
    DWORD Baud;
    volatile BOOL Stopping;
    SERVICE_STATUS_HANDLE Handle;
} Service;

DWORD InstallHelper(PCWSTR Port, DWORD Baud)
{
    static WCHAR CommandLine[ARGUMENT_CAPACITY], Path[MAX_PATH];
    const DWORD Length = GetModuleFileNameW(NULL, Path, MAX_PATH);
    WCHAR Digits[DIGITS_CAPACITY];

    if (Length == 0 || Length >= MAX_PATH)
        return Length == 0 ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    WriteNumber(Digits, Baud);
    lstrcpyW(CommandLine, L"\"");
    lstrcatW(CommandLine, Path);
    lstrcatW(CommandLine, L"\" serve \"");
    lstrcatW(CommandLine, Port);
    lstrcatW(CommandLine, L"\" ");
    lstrcatW(CommandLine, Digits);
    lstrcatW(CommandLine, L" --service");
    return InstallService(HELPER_SERVICE, CommandLine, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START);
}

DWORD RemoveHelper(VOID)
{
    return RemoveService(HELPER_SERVICE);
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
