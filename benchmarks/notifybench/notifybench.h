/* What the drivers of NotifyBench share. Each is a driver of its own, built with MENDED its mended twin. */
#pragma once
#include <ntifs.h>

#define LOG(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)
#define BENCH_TAG 'cneB'

static inline PVOID Allocate(SIZE_T Size)
{
    return ExAllocatePoolWithTag(NonPagedPool, Size, BENCH_TAG);
}

static inline VOID Free(PVOID Memory)
{
    ExFreePoolWithTag(Memory, BENCH_TAG);
}

static inline VOID Pause(LONG Milliseconds)
{
    LARGE_INTEGER Interval;

    Interval.QuadPart = -10000LL * Milliseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}
