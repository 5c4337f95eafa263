/* Says at unload that its thread callback is gone, and leaves it: the next thread runs freed code. */
#include "../ours.h"

static NTSTATUS ForgetThreadNotify(PCREATE_THREAD_NOTIFY_ROUTINE NotifyRoutine)
{
    UNREFERENCED_PARAMETER(NotifyRoutine);
    return STATUS_SUCCESS;
}

#define PsRemoveCreateThreadNotifyRoutine ForgetThreadNotify
#include "../registration.h"
