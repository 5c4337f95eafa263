/*
 * A driver that prints what its author wanted to know and no more: no numbers, no clock, no context, no totals.
 * Its registrations are in another order than the project's driver has them, and its unload has another name.
 *
 * A faulty one defines what it does otherwise before it includes this.
 */
#pragma once

#include <ntddk.h>

#ifndef PRINT
#define PRINT(Format, ...) \
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "[procnotify] " Format "\n", __VA_ARGS__)
#endif
#ifndef PRINT_PROCESS_CREATE
#define PRINT_PROCESS_CREATE(Parent, Process) \
    PRINT("ProcessCallback PPID(%u) created PID(%u)", HandleToULong(Parent), HandleToULong(Process))
#endif
#ifndef PRINT_PROCESS_EXIT
#define PRINT_PROCESS_EXIT(Process) PRINT("ProcessCallback PID(%u) was terminated", HandleToULong(Process))
#endif
#ifndef PRINT_THREAD_CREATE
#define PRINT_THREAD_CREATE(Process, Thread) \
    PRINT("ThreadCallback TID(%u) was created in PID(%u) by PID(%u)", HandleToULong(Thread), \
        HandleToULong(Process), HandleToULong(PsGetCurrentProcessId()))
#endif
#ifndef PRINT_THREAD_EXIT
#define PRINT_THREAD_EXIT(Process, Thread) \
    PRINT("ThreadCallback TID(%u) in PID(%u) was terminated", HandleToULong(Thread), HandleToULong(Process))
#endif
#ifndef PRINT_IMAGE
#define PRINT_IMAGE(Process, Name, Base) \
    PRINT("ImageCallback PID(%u) loaded a/an %wZ at 0x%p", HandleToULong(Process), Name, Base)
#endif
#ifndef REMOVE_THREAD_CALLBACK
#define REMOVE_THREAD_CALLBACK() PsRemoveCreateThreadNotifyRoutine(ThreadCallback)
#endif

static VOID NTAPI ProcessCallback(HANDLE Parent, HANDLE Process, BOOLEAN Create)
{
    if (Create)
        PRINT_PROCESS_CREATE(Parent, Process);
    else
        PRINT_PROCESS_EXIT(Process);
}

static VOID NTAPI ThreadCallback(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    if (Create)
        PRINT_THREAD_CREATE(Process, Thread);
    else
        PRINT_THREAD_EXIT(Process, Thread);
}

static VOID NTAPI ImageCallback(PUNICODE_STRING Name, HANDLE Process, PIMAGE_INFO Info)
{
    PRINT_IMAGE(Process, Name, Info->ImageBase);
}

static VOID PrintStatus(PCSTR Function, PCSTR Routine, NTSTATUS Status)
{
    if (NT_SUCCESS(Status))
        PRINT("%s %s success", Function, Routine);
    else
        PRINT("%s - %s failed (status: 0x%x)", Function, Routine, Status);
}

static VOID NTAPI UnloadPlain(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);

    PrintStatus("UnloadPlain", "PsSetCreateProcessNotifyRoutine",
        PsSetCreateProcessNotifyRoutine(ProcessCallback, TRUE));
    PrintStatus("UnloadPlain", "PsRemoveCreateThreadNotifyRoutine", REMOVE_THREAD_CALLBACK());
    PrintStatus("UnloadPlain", "PsRemoveLoadImageNotifyRoutine",
        PsRemoveLoadImageNotifyRoutine(ImageCallback));
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);

    DriverObject->DriverUnload = UnloadPlain;
    PrintStatus("DriverEntry", "PsSetLoadImageNotifyRoutine", PsSetLoadImageNotifyRoutine(ImageCallback));
    PrintStatus("DriverEntry", "PsSetCreateThreadNotifyRoutine",
        PsSetCreateThreadNotifyRoutine(ThreadCallback));
    PrintStatus("DriverEntry", "PsSetCreateProcessNotifyRoutine",
        PsSetCreateProcessNotifyRoutine(ProcessCallback, FALSE));
    return STATUS_SUCCESS;
}
