#include "advapi.h"

ADVAPI Advapi;

DWORD LoadAdvapi(VOID)
{
    const HMODULE Module = LoadLibraryW(L"advapi32.dll");

    if (Module == NULL)
        return GetLastError();
#define FIND(Function) \
    Advapi.Function = (__typeof__(&Function))(PVOID)GetProcAddress(Module, #Function); \
    if (Advapi.Function == NULL) \
        return GetLastError();
    ADVAPI_FUNCTIONS(FIND)
#undef FIND
    return ERROR_SUCCESS;
}
