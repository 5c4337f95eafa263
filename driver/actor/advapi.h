/*
 * Functions of advapi32, found when they are needed. It is not imported: it and what it needs would be in the
 * trace of every action, whose process otherwise loads nothing but what every process has.
 */
#pragma once

#include <windows.h>

#define ADVAPI_FUNCTIONS(DECLARE) \
    DECLARE(ChangeServiceConfigW) \
    DECLARE(CloseServiceHandle) \
    DECLARE(ControlService) \
    DECLARE(CreateServiceW) \
    DECLARE(DeleteService) \
    DECLARE(OpenSCManagerW) \
    DECLARE(OpenServiceW) \
    DECLARE(QueryServiceStatus) \
    DECLARE(RegisterServiceCtrlHandlerW) \
    DECLARE(SetServiceStatus) \
    DECLARE(StartServiceCtrlDispatcherW) \
    DECLARE(StartServiceW)

typedef struct ADVAPI {
#define DECLARE_POINTER(Function) __typeof__(&Function) Function;
    ADVAPI_FUNCTIONS(DECLARE_POINTER)
#undef DECLARE_POINTER
} ADVAPI;

/* Filled by LoadAdvapi. */
extern ADVAPI Advapi;

/* 0 or a Win32 error. */
DWORD LoadAdvapi(VOID);
