/* Locks that callbacks share, and what can be wrong with taking them. */
#include "driver_case.h"

/* Exported, and declared nowhere: what the push locks of ntifs.h come to. */
NTKERNELAPI VOID NTAPI ExfAcquirePushLockExclusive(ULONG_PTR *PushLock);
NTKERNELAPI VOID NTAPI ExfAcquirePushLockShared(ULONG_PTR *PushLock);
NTKERNELAPI VOID NTAPI ExfReleasePushLock(ULONG_PTR *PushLock);

static ULONG_PTR PushLock;

/* One lock lets one in at a time. */

static VOID SharesMutex(HANDLE ThreadId, BOOLEAN Create)
{
    WaitFor(&Mutex);
    WaitFor(&Mutex);
    SleepsInCallback(ThreadId, Create);
    KeReleaseMutex(&Mutex, FALSE);
    KeReleaseMutex(&Mutex, FALSE);
}

static VOID SharesFastMutex(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireFastMutex(&FastMutex);
    SleepsInCallback(ThreadId, Create);
    ExReleaseFastMutex(&FastMutex);
}

static VOID SharesSemaphore(HANDLE ThreadId, BOOLEAN Create)
{
    WaitFor(&Semaphore);
    SleepsInCallback(ThreadId, Create);
    KeReleaseSemaphore(&Semaphore, 0, 1, FALSE);
}

static VOID SharesSpinLock(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    InterlockedIncrement(&Inside);
    if (Inside > MostInside)
        MostInside = Inside;
    KeStallExecutionProcessor(100000);
    InterlockedDecrement(&Inside);
    KeReleaseSpinLock(&SpinLock, Old);
}

/* Locks with shared owners. */

static VOID SharesResource(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExAcquireResourceSharedLite(&Resource, TRUE);
    SleepsInCallback(ThreadId, Create);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
}

static VOID ReadsResource(HANDLE ThreadId, BOOLEAN Create)
{
    ExAcquireResourceSharedLite(&Resource, TRUE);
    SleepsInCallback(ThreadId, Create);
    ExReleaseResourceLite(&Resource);
}

static VOID ReleasesTwice(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireResourceSharedLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
}

static NTSTATUS TakesResourceWithApcs(VOID)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    return STATUS_SUCCESS;
}

static VOID SharesPushLock(HANDLE ThreadId, BOOLEAN Create)
{
    ExfAcquirePushLockExclusive(&PushLock);
    SleepsInCallback(ThreadId, Create);
    ExfReleasePushLock(&PushLock);
}

static VOID ReadsUnderPushLock(HANDLE ThreadId, BOOLEAN Create)
{
    ExfAcquirePushLockShared(&PushLock);
    SleepsInCallback(ThreadId, Create);
    ExfReleasePushLock(&PushLock);
}

static VOID IsRunDown(HANDLE ThreadId, BOOLEAN Create)
{
    if (!ExAcquireRundownProtection(&Rundown))
        return;
    SleepsInCallback(ThreadId, Create);
    ExReleaseRundownProtection(&Rundown);
}

static VOID RunsDown(VOID)
{
    ExWaitForRundownProtectionRelease(&Rundown);
    DbgPrint("run down, %u inside, again %u\n", Inside, ExAcquireRundownProtection(&Rundown));
}

/* Wrong: waits at DISPATCH_LEVEL. */

static VOID MutexAtDispatch(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    WaitFor(&Mutex);
    KeReleaseMutex(&Mutex, FALSE);
    KeReleaseSpinLock(&SpinLock, Old);
}

static VOID FastMutexAtDispatch(HANDLE ThreadId, BOOLEAN Create)
{
    KIRQL Old;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    KeAcquireSpinLock(&SpinLock, &Old);
    ExAcquireFastMutex(&FastMutex);
    ExReleaseFastMutex(&FastMutex);
    KeReleaseSpinLock(&SpinLock, Old);
}

/* Wrong: pageable at DISPATCH_LEVEL. */

static NTSTATUS AllocatesPagedAtDispatch(VOID)
{
    KIRQL Old;

    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    ExAllocatePoolWithTag(PagedPool, 16, TAG);
    KeLowerIrql(Old);
    return STATUS_SUCCESS;
}

static NTSTATUS FreesPagedAtDispatch(VOID)
{
    PVOID Block = ExAllocatePoolWithTag(PagedPool, 16, TAG);
    KIRQL Old;

    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    ExFreePoolWithTag(Block, TAG);
    KeLowerIrql(Old);
    return STATUS_SUCCESS;
}

static NTSTATUS DelaysAtDispatch(VOID)
{
    KIRQL Old;

    KeRaiseIrql(DISPATCH_LEVEL, &Old);
    Sleep(1);
    KeLowerIrql(Old);
    return STATUS_SUCCESS;
}

/* Wrong: keeps what disables APCs. */

static VOID KeepsMutex(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    WaitFor(&Mutex);
}

static NTSTATUS StaysInGuardedRegion(VOID)
{
    KeEnterGuardedRegion();
    return STATUS_SUCCESS;
}

static VOID NTAPI DpcEntersRegion(PKDPC Self, PVOID Context, PVOID First, PVOID Last)
{
    UNREFERENCED_PARAMETER(Self);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Last);
    KeEnterCriticalRegion();
}

static NTSTATUS DpcStaysInRegion(VOID)
{
    KeInitializeDpc(&Dpc, DpcEntersRegion, NULL);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    return STATUS_SUCCESS;
}

/* Wrong: takes two locks in either order. */

static VOID TakesInEitherOrder(HANDLE ThreadId, BOOLEAN Create)
{
    BOOLEAN Odd = InterlockedIncrement(&Calls) & 1;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(Odd ? &FastMutex : &OtherFastMutex);
    ExAcquireFastMutex(Odd ? &OtherFastMutex : &FastMutex);
    ExReleaseFastMutex(Odd ? &OtherFastMutex : &FastMutex);
    ExReleaseFastMutex(Odd ? &FastMutex : &OtherFastMutex);
}

static VOID TakesInOneOrder(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&FastMutex);
    ExAcquireFastMutex(&OtherFastMutex);
    Sleep(20);
    ExReleaseFastMutex(&OtherFastMutex);
    ExReleaseFastMutex(&FastMutex);
}

/* Wrong: takes a lock twice. */

static VOID TakesTwice(HANDLE ThreadId, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireFastMutex(&FastMutex);
    ExAcquireFastMutex(&FastMutex);
}

/* Wrong: two that wait for each other, for certain. */

static VOID WaitsInACircle(HANDLE ThreadId, BOOLEAN Create)
{
    BOOLEAN Odd = InterlockedIncrement(&Calls) & 1;

    UNREFERENCED_PARAMETER(ThreadId);
    UNREFERENCED_PARAMETER(Create);
    ExAcquireResourceExclusiveLite(Odd ? &Resource : &OtherResource, TRUE);
    Sleep(2000);
    ExAcquireResourceExclusiveLite(Odd ? &OtherResource : &Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&OtherResource);
}

const DRIVER_CASE LockCases[] = {
    {.Name = L"shares-mutex", .Callback = SharesMutex, .Unload = SaysHowManyOverlapped},
    {.Name = L"shares-fast-mutex", .Callback = SharesFastMutex, .Unload = SaysHowManyOverlapped},
    {.Name = L"shares-semaphore", .Callback = SharesSemaphore, .Unload = SaysHowManyOverlapped},
    {.Name = L"shares-spin-lock", .Callback = SharesSpinLock, .Unload = SaysHowManyOverlapped},
    {.Name = L"mutex-at-dispatch", .Callback = MutexAtDispatch},
    {.Name = L"fast-mutex-at-dispatch", .Callback = FastMutexAtDispatch},
    {.Name = L"takes-in-either-order", .Callback = TakesInEitherOrder},
    {.Name = L"takes-in-one-order", .Callback = TakesInOneOrder},
    {.Name = L"takes-twice", .Callback = TakesTwice},
    {.Name = L"shares-resource", .Callback = SharesResource, .Unload = SaysHowManyOverlapped},
    {.Name = L"reads-resource", .Callback = ReadsResource, .Unload = SaysHowManyOverlapped},
    {.Name = L"releases-twice", .Callback = ReleasesTwice},
    {.Name = L"takes-resource-with-apcs", .Entry = TakesResourceWithApcs},
    {.Name = L"shares-push-lock", .Callback = SharesPushLock, .Unload = SaysHowManyOverlapped},
    {.Name = L"reads-under-push-lock", .Callback = ReadsUnderPushLock, .Unload = SaysHowManyOverlapped},
    {.Name = L"runs-down", .Callback = IsRunDown, .Unload = RunsDown},
    {.Name = L"waits-in-a-circle", .Callback = WaitsInACircle},
    {.Name = L"allocates-paged-at-dispatch", .Entry = AllocatesPagedAtDispatch},
    {.Name = L"frees-paged-at-dispatch", .Entry = FreesPagedAtDispatch},
    {.Name = L"keeps-mutex", .Callback = KeepsMutex},
    {.Name = L"stays-in-guarded-region", .Entry = StaysInGuardedRegion},
    {.Name = L"dpc-stays-in-region", .Entry = DpcStaysInRegion},
    {.Name = L"delays-at-dispatch", .Entry = DelaysAtDispatch},
    {.Name = NULL},
};
