/*
 * What Microsoft's wdm.h has and mingw-w64's lacks, so that sources written for the WDK compile as they are.
 * The original is included in the middle; ntddk.h and ntifs.h include this one.
 */
#pragma once

#include <driverspecs.h>

/* Annotations for Microsoft's static analyser; driverspecs.h and sal.h leave these out. */
#define _Dispatch_type_(Kind)
#define _IRQL_always_function_max_(Irql)
#define _IRQL_always_function_min_(Irql)
#define _IRQL_is_cancel_
#define _IRQL_restores_global_(Kind, Parameter)
#define _IRQL_saves_global_(Kind, Parameter)
#define _IRQL_uses_cancel_
#define _Kernel_clear_do_init_(YesNo)
#define _Kernel_float_restored_
#define _Kernel_float_saved_
#define _Kernel_float_used_
#define _Kernel_requires_resource_held_(Kind)
#define _Kernel_requires_resource_not_held_(Kind)
#define _Kernel_acquires_resource_(Kind)
#define _Kernel_releases_resource_(Kind)

#ifdef __cplusplus
#define EXTERN_C_START extern "C" {
#define EXTERN_C_END }
#else
#define EXTERN_C_START
#define EXTERN_C_END
#endif

#include_next <wdm.h>

EXTERN_C_START

/* The kernel exports variables that hold object types. In the WDK these names are the variables' addresses, as the
 * import table has them; in mingw-w64's headers they are what the variables hold. */
#if defined(_X86_)
#define TYPE_IN_IMPORT_TABLE(Name) extern POBJECT_TYPE *Name##Import __asm__("__imp__" #Name)
#else
#define TYPE_IN_IMPORT_TABLE(Name) extern POBJECT_TYPE *Name##Import __asm__("__imp_" #Name)
#endif
TYPE_IN_IMPORT_TABLE(CmKeyObjectType);
TYPE_IN_IMPORT_TABLE(ExDesktopObjectType);
TYPE_IN_IMPORT_TABLE(ExEventObjectType);
TYPE_IN_IMPORT_TABLE(ExSemaphoreObjectType);
TYPE_IN_IMPORT_TABLE(IoFileObjectType);
TYPE_IN_IMPORT_TABLE(PsProcessType);
TYPE_IN_IMPORT_TABLE(PsThreadType);
TYPE_IN_IMPORT_TABLE(SeTokenObjectType);
#define CmKeyObjectType CmKeyObjectTypeImport
#define ExDesktopObjectType ExDesktopObjectTypeImport
#define ExEventObjectType ExEventObjectTypeImport
#define ExSemaphoreObjectType ExSemaphoreObjectTypeImport
#define IoFileObjectType IoFileObjectTypeImport
#define PsProcessType PsProcessTypeImport
#define PsThreadType PsThreadTypeImport
#define SeTokenObjectType SeTokenObjectTypeImport

/* Windows 10 2004: ExAllocatePool2. */
typedef ULONG64 POOL_FLAGS;
#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_SESSION 0x0000000000000004ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
DECLSPEC_IMPORT PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

/* In the WDK an inline function that rests on ExAllocatePoolWithTag. */
FORCEINLINE PVOID NTAPI ExAllocatePoolZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    const PVOID Allocated = ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);

    if (Allocated != NULL)
        RtlZeroMemory(Allocated, NumberOfBytes);
    return Allocated;
}

#define DrvRtPoolNxOptIn 0x00000001
FORCEINLINE VOID ExInitializeDriverRuntime(ULONG RuntimeFlags)
{
    UNREFERENCED_PARAMETER(RuntimeFlags);
}

#if defined(_AMD64_)
FORCEINLINE VOID KeMemoryBarrier(VOID)
{
    __asm__ volatile("lock orl $0, (%%rsp)" ::: "memory", "cc");
}
#endif

#ifndef CFORCEINLINE
#define CFORCEINLINE FORCEINLINE
#endif

DECLSPEC_IMPORT NTSTATUS NTAPI PsGetProcessExitStatus(PEPROCESS Process);
DECLSPEC_IMPORT NTSTATUS NTAPI PsGetThreadExitStatus(PETHREAD Thread);
DECLSPEC_IMPORT BOOLEAN NTAPI RtlSuffixUnicodeString(PCUNICODE_STRING Suffix, PCUNICODE_STRING Text,
                                                     BOOLEAN CaseInSensitive);
DECLSPEC_IMPORT NTSTATUS NTAPI CmCallbackGetKeyObjectIDEx(PLARGE_INTEGER Cookie, PVOID Object,
                                                          PULONG_PTR ObjectId, PCUNICODE_STRING *ObjectName,
                                                          ULONG Flags);
DECLSPEC_IMPORT VOID NTAPI CmCallbackReleaseKeyObjectIDEx(PCUNICODE_STRING ObjectName);

/* Reader-writer spin locks. */
typedef volatile LONG EX_SPIN_LOCK, *PEX_SPIN_LOCK;
DECLSPEC_IMPORT KIRQL NTAPI ExAcquireSpinLockShared(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT VOID NTAPI ExReleaseSpinLockShared(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql);
DECLSPEC_IMPORT KIRQL NTAPI ExAcquireSpinLockExclusive(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT VOID NTAPI ExReleaseSpinLockExclusive(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql);
DECLSPEC_IMPORT VOID NTAPI ExAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT VOID NTAPI ExReleaseSpinLockSharedFromDpcLevel(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT VOID NTAPI ExAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT VOID NTAPI ExReleaseSpinLockExclusiveFromDpcLevel(PEX_SPIN_LOCK SpinLock);
DECLSPEC_IMPORT LOGICAL NTAPI ExTryConvertSharedSpinLockExclusive(PEX_SPIN_LOCK SpinLock);

/* Push locks; the short names are macros in the WDK, too. */
#define EX_PUSH_LOCK ULONG_PTR
#define PEX_PUSH_LOCK PULONG_PTR
#define EX_DEFAULT_PUSH_LOCK_FLAGS 0x00000000
DECLSPEC_IMPORT VOID NTAPI ExAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
DECLSPEC_IMPORT VOID NTAPI ExAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
DECLSPEC_IMPORT VOID NTAPI ExReleasePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
DECLSPEC_IMPORT VOID NTAPI ExReleasePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
#define ExAcquirePushLockExclusive(Lock) ExAcquirePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS)
#define ExAcquirePushLockShared(Lock) ExAcquirePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS)
#define ExReleasePushLockExclusive(Lock) ExReleasePushLockExclusiveEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS)
#define ExReleasePushLockShared(Lock) ExReleasePushLockSharedEx(Lock, EX_DEFAULT_PUSH_LOCK_FLAGS)

/* RtlQueryRegistryValues: the type that RTL_QUERY_REGISTRY_DIRECT expects, in the top byte of DefaultType. */
#define RTL_QUERY_REGISTRY_TYPECHECK 0x00000100
#define RTL_QUERY_REGISTRY_TYPECHECK_SHIFT 24
#define RTL_QUERY_REGISTRY_TYPECHECK_MASK (0xff << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT)

/* As in the WDK; mingw-w64's takes no expression. */
#undef KeInitializeCallbackRecord
#define KeInitializeCallbackRecord(CallbackRecord) ((CallbackRecord)->State = BufferEmpty)

/* Windows 8.1. */
FORCEINLINE VOID ExInitializeDeleteTimerParameters(PEXT_DELETE_PARAMETERS Parameters)
{
    RtlZeroMemory(Parameters, sizeof *Parameters);
}

/* Windows 8. */
DECLSPEC_IMPORT VOID NTAPI KeQuerySystemTimePrecise(PLARGE_INTEGER CurrentTime);
DECLSPEC_IMPORT ULONG64 NTAPI KeQueryInterruptTimePrecise(PULONG64 QpcTimeStamp);

EXTERN_C_END
