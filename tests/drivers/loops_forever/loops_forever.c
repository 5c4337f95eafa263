/* Waits in a callback for a flag that nobody sets. */
#include "../ours.h"

static volatile BOOLEAN Ready;

static VOID NTAPI OnProcessNotifyWaiting(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    OnProcessNotify(ParentId, ProcessId, Create);
    while (!Ready)
        YieldProcessor();
}

#define OnProcessNotify OnProcessNotifyWaiting
#include "../registration.h"
