/* Prints in a callback without end. */
#include "../../drivers/ours.h"

static VOID NTAPI OnProcessNotifyPrinting(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    OnProcessNotify(ParentId, ProcessId, Create);
    for (;;)
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "[procnotify] still here\n");
}

#define OnProcessNotify OnProcessNotifyPrinting
#include "../../drivers/registration.h"
