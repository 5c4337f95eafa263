/* Writes to NULL in a callback. */
#include "../../drivers/ours.h"

static VOID NTAPI OnProcessNotifyWriting(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    OnProcessNotify(ParentId, ProcessId, Create);
    *(volatile LONG *)0 = 1;
}

#define OnProcessNotify OnProcessNotifyWriting
#include "../../drivers/registration.h"
