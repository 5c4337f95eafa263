/* Executes a break instruction in a callback. */
#include "../../drivers/ours.h"

static VOID NTAPI OnProcessNotifyBreaking(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    OnProcessNotify(ParentId, ProcessId, Create);
    DbgBreakPoint();
}

#define OnProcessNotify OnProcessNotifyBreaking
#include "../../drivers/registration.h"
