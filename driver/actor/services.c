#include "services.h"
#include "advapi.h"

/* How long a service may take to stop, and one that is deleted may be held open by somebody. */
#define PATIENCE_MILLISECONDS 10000
#define AGAIN_MILLISECONDS 20

static BOOL IsTimeLeft(DWORD Started)
{
    if (GetTickCount() - Started >= PATIENCE_MILLISECONDS)
        return FALSE;
    Sleep(AGAIN_MILLISECONDS);
    return TRUE;
}

static DWORD OpenManager(SC_HANDLE *Manager)
{
    const DWORD Status = LoadAdvapi();

    if (Status != ERROR_SUCCESS)
        return Status;
    *Manager = Advapi.OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE);
    return *Manager != NULL ? ERROR_SUCCESS : GetLastError();
}

static DWORD Register(
    SC_HANDLE Manager, PCWSTR Name, PCWSTR BinaryPath, DWORD Type, DWORD StartType, SC_HANDLE *Service)
{
    const DWORD Access = SERVICE_START | SERVICE_CHANGE_CONFIG | DELETE;

    *Service = Advapi.CreateServiceW(Manager, Name, NULL, Access, Type, StartType, SERVICE_ERROR_NORMAL,
        BinaryPath, NULL, NULL, NULL, NULL, NULL);
    if (*Service != NULL)
        return ERROR_SUCCESS;
    if (GetLastError() != ERROR_SERVICE_EXISTS)
        return GetLastError();
    *Service = Advapi.OpenServiceW(Manager, Name, Access);
    if (*Service == NULL)
        return GetLastError();
    if (Advapi.ChangeServiceConfigW(*Service, Type, StartType, SERVICE_ERROR_NORMAL, BinaryPath, NULL, NULL,
            NULL, NULL, NULL, NULL))
        return ERROR_SUCCESS;

    const DWORD Status = GetLastError();
    Advapi.CloseServiceHandle(*Service);
    return Status;
}

static DWORD Start(SC_HANDLE Service)
{
    if (Advapi.StartServiceW(Service, 0, NULL))
        return ERROR_SUCCESS;

    const DWORD Status = GetLastError();
    if (Status != ERROR_SERVICE_ALREADY_RUNNING)
        Advapi.DeleteService(Service);
    return Status;
}

DWORD InstallService(PCWSTR Name, PCWSTR BinaryPath, DWORD Type, DWORD StartType)
{
    SC_HANDLE Manager, Service;
    DWORD Status = OpenManager(&Manager);

    if (Status != ERROR_SUCCESS)
        return Status;

    const DWORD Started = GetTickCount();
    do {
        Status = Register(Manager, Name, BinaryPath, Type, StartType, &Service);
    } while (Status == ERROR_SERVICE_MARKED_FOR_DELETE && IsTimeLeft(Started));
    if (Status == ERROR_SUCCESS) {
        Status = Start(Service);
        Advapi.CloseServiceHandle(Service);
    }
    Advapi.CloseServiceHandle(Manager);
    return Status;
}

static DWORD Stop(SC_HANDLE Service)
{
    const DWORD Started = GetTickCount();
    SERVICE_STATUS State;

    if (!Advapi.ControlService(Service, SERVICE_CONTROL_STOP, &State))
        return GetLastError();
    do {
        if (!Advapi.QueryServiceStatus(Service, &State))
            return GetLastError();
        if (State.dwCurrentState == SERVICE_STOPPED)
            return ERROR_SUCCESS;
    } while (IsTimeLeft(Started));
    return ERROR_SERVICE_REQUEST_TIMEOUT;
}

DWORD RemoveService(PCWSTR Name)
{
    SC_HANDLE Manager;
    DWORD Status = OpenManager(&Manager);

    if (Status != ERROR_SUCCESS)
        return Status;

    const SC_HANDLE Service =
        Advapi.OpenServiceW(Manager, Name, SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE);
    if (Service == NULL) {
        Status = GetLastError();
    } else {
        Status = Stop(Service);
        if (!Advapi.DeleteService(Service) && Status == ERROR_SUCCESS)
            Status = GetLastError();
        Advapi.CloseServiceHandle(Service);
    }
    Advapi.CloseServiceHandle(Manager);
    return Status;
}
