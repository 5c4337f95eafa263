/*
 * probe.dll: says in which process it is. Whoever loads or injects it sees by the marker, from the process
 * itself, that it arrived.
 */
#include "../text.h"

static VOID Say(PCSTR What)
{
    TEXT_LINE Line;

    Line.Length = 0;
    PutText(&Line, "[actor] dll ");
    PutText(&Line, What);
    PutText(&Line, " pid=");
    PutNumber(&Line, GetCurrentProcessId());
    SayToDebugger(&Line);
}

BOOL WINAPI DllMain(HINSTANCE Instance, DWORD Reason, PVOID Reserved)
{
    (void)Reserved;
    if (Reason == DLL_PROCESS_ATTACH) {
        DisableThreadLibraryCalls(Instance);
        Say("attach");
    } else if (Reason == DLL_PROCESS_DETACH) {
        Say("detach");
    }
    return TRUE;
}
