#include "commands.h"
#include "devices.h"
#include "serve/serve.h"
#include "services.h"

static BOOL StartDriver(ARGUMENTS *Arguments, RESULT *Result)
{
    static WCHAR Name[SERVICE_NAME_CAPACITY], Path[ARGUMENT_CAPACITY];

    if (!TakeArgument(Arguments) || lstrlenW(Arguments->Current) >= SERVICE_NAME_CAPACITY)
        return FALSE;
    lstrcpynW(Name, Arguments->Current, SERVICE_NAME_CAPACITY);
    if (!TakePath(Arguments, Path, &Result->Status))
        return FALSE;
    if (Result->Status == ERROR_SUCCESS)
        Result->Status = InstallService(Name, Path, SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START);
    return TRUE;
}

static BOOL StopDriver(ARGUMENTS *Arguments, RESULT *Result)
{
    if (!TakeArgument(Arguments))
        return FALSE;
    Result->Status = RemoveService(Arguments->Current);
    return TRUE;
}

const ACTION_ENTRY Commands[] = {
    {L"start", "start", StartDriver},
    {L"stop", "stop", StopDriver},
    {L"serve", "serve", Serve},
    {L"keep-device", "keep-device", KeepDevice},
    {NULL, NULL, NULL},
};
