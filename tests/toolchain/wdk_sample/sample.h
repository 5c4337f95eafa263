#pragma once
#pragma warning(disable : 4100 4201)

#include <ntddk.h>
#include <wdm.h>
#include <minwindef.h>
#include <ntstrsafe.h>

#define TAG 'lpmS'
#define LOG(format, ...) KdPrint(("[sample] " __FUNCTION__ " " format "\n", __VA_ARGS__))

typedef struct _SAMPLE_ITEM {
    LIST_ENTRY Entry;
    union {
        struct {
            ULONG ProcessId;
            ULONG ParentId;
        };
        ULONGLONG Both;
    };
    LARGE_INTEGER Time;
} SAMPLE_ITEM, *PSAMPLE_ITEM;

EXTERN_C_START
_IRQL_requires_max_(PASSIVE_LEVEL) _Must_inspect_result_ NTSTATUS SampleAdd(_In_ HANDLE ProcessId, _In_opt_ HANDLE ParentId);
_IRQL_requires_max_(DISPATCH_LEVEL) ULONGLONG SampleAverage(_In_ ULONGLONG Sum, _In_ ULONGLONG Count);
EXTERN_C_END
