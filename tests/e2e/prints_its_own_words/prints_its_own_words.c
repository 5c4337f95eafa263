/* A sound driver with lines of its own: no line end, and what kind of event it was is a word. */
#include <ntddk.h>

static void OnProcess(HANDLE parent, HANDLE process, BOOLEAN create)
{
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "%s: %Iu, from %p", create ? "up" : "down",
               (ULONG_PTR)process, parent);
}

static void Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    return PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
}
