/* The helper as a service that starts with the system. Functions return 0 or a Win32 error. */
#pragma once

#include <windows.h>

/* Under this name. */
#define HELPER_SERVICE L"procnotify-helper"

/* A copy of this program, beside it. One that runs already goes on as it is until the system starts again. */
DWORD InstallHelper(PCWSTR Port, DWORD Baud);
DWORD RemoveHelper(VOID);

/* For the service manager alone, which has started this process. */
DWORD RunAsService(PCWSTR Port, DWORD Baud);
