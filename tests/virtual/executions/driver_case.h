/*
 * Drivers in one image: the last part of the service's registry path chooses which. Each is right on Windows unless its
 * name, or a remark above it, says what is wrong with it. Tests: tests/virtual/kernel/test_executions.py and test_races.py.
 */
#pragma once
#include <ntddk.h>

#define MILLISECONDS(n) (-10000LL * (n))
#define TAG 'cexE'

typedef struct {
    PCWSTR Name;
    NTSTATUS (*Entry)(VOID);
    VOID (*Callback)(HANDLE ThreadId, BOOLEAN Create); /* on each thread */
    VOID (*BeforeRemoval)(VOID);                       /* while the callback is still registered */
    VOID (*Unload)(VOID);                              /* afterwards */
    BOOLEAN Mended;                                    /* a race that its locks prevent */
} DRIVER_CASE;

/* One table a source file; an entry without a name ends it. */
extern const DRIVER_CASE WaitCases[], LockCases[], ThreadCases[], DeferredCases[], LeftoverCases[], PrintCases[], RaceCases[], ApcCases[],
    EndingCases[], ExTimerCases[], RemoveLockCases[];

/* Of ntifs.h. */
NTKERNELAPI NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE ThreadId, PETHREAD *Thread);

extern const DRIVER_CASE *Case;
extern PDRIVER_OBJECT Driver;
extern KEVENT Event, Second;
extern KTIMER Timer;
extern KDPC Dpc;
extern KMUTEX Mutex;
extern KSEMAPHORE Semaphore;
extern FAST_MUTEX FastMutex, OtherFastMutex;
extern KSPIN_LOCK SpinLock;
extern ERESOURCE Resource, OtherResource;
extern EX_RUNDOWN_REF Rundown;
extern WORK_QUEUE_ITEM WorkItem;
extern volatile LONG Stop, Calls, Inside, MostInside;

ULONG Now(VOID);
VOID Sleep(LONG Milliseconds);
NTSTATUS WaitFor(PVOID Object);
NTSTATUS WaitAtMost(PVOID Object, LONG Milliseconds);
VOID NTAPI DpcSetsEvent(PKDPC Self, PVOID Context, PVOID First, PVOID Last);
VOID StartTimer(LONG Milliseconds);
NTSTATUS StartThread(PKSTART_ROUTINE Routine, PETHREAD *Thread);
VOID SleepsInCallback(HANDLE ThreadId, BOOLEAN Create);
VOID SaysHowManyOverlapped(VOID);
