/* Services of the service manager, drivers among them. Each function returns 0 or a Win32 error. */
#pragma once

#include <windows.h>

/* The longest name of a service has 256 characters (Microsoft, CreateServiceW). */
#define SERVICE_NAME_CAPACITY 257

/*
 * Registers the service, in place of what is registered under its name and does not run, and starts it. One
 * that does not start is not left behind.
 */
DWORD InstallService(PCWSTR Name, PCWSTR BinaryPath, DWORD Type, DWORD StartType);

/* Stops the service, waits until it has stopped, and deletes it. One that does not run is deleted all the same. */
DWORD RemoveService(PCWSTR Name);
