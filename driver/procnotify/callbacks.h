/* The three notify routines, and what they counted. */
#pragma once

#include <ntddk.h>

/* PCREATE_PROCESS_NOTIFY_ROUTINE, PCREATE_THREAD_NOTIFY_ROUTINE and PLOAD_IMAGE_NOTIFY_ROUTINE. */
VOID NTAPI OnProcessNotify(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create);
VOID NTAPI OnThreadNotify(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create);
VOID NTAPI OnImageNotify(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo);

/* How many events of each kind were reported. */
typedef struct EVENT_TOTALS {
    volatile LONG ProcessCreate;
    volatile LONG ProcessExit;
    volatile LONG ThreadCreate;
    volatile LONG ThreadExit;
    volatile LONG ImageLoad;
} EVENT_TOTALS;

extern EVENT_TOTALS EventTotals;

/* Returns once no routine is running any more. Call it after the routines were removed, at PASSIVE_LEVEL. */
VOID WaitForCallbacks(VOID);
