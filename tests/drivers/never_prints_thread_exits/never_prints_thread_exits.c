/* Takes a thread's exit for nothing to report. No line is lost, so no gap in the numbers gives it away. */
#include "../ours.h"

static VOID NTAPI OnThreadCreateOnly(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    if (Create)
        OnThreadNotify(ProcessId, ThreadId, Create);
}

#define OnThreadNotify OnThreadCreateOnly
#include "../registration.h"
