/* Takes the callback's two process IDs in the wrong order when a process is created. */
#include "../ours.h"

static VOID NTAPI OnSwappedProcessNotify(HANDLE ProcessId, HANDLE ParentId, BOOLEAN Create)
{
    if (Create)
        OnProcessNotify(ParentId, ProcessId, Create);
    else
        OnProcessNotify(ProcessId, ParentId, Create);
}

#define OnProcessNotify OnSwappedProcessNotify
#include "../registration.h"
