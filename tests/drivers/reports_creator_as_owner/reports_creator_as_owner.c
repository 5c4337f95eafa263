/* Reports a new thread in the process that created it, not in the one that owns it. */
#include "../ours.h"

static VOID NTAPI OnCreatorThreadNotify(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    OnThreadNotify(Create ? PsGetCurrentProcessId() : ProcessId, ThreadId, Create);
}

#define OnThreadNotify OnCreatorThreadNotify
#include "../registration.h"
