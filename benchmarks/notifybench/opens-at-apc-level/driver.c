/* A thread callback that opens the thread's process, at whatever IRQL it is called. */
#include "notifybench.h"

static VOID NTAPI OnThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    HANDLE Handle;

    if (Create)
        return;
#ifdef MENDED
    if (KeGetCurrentIrql() != PASSIVE_LEVEL)
        return;
#endif
    if (NT_SUCCESS(ObOpenObjectByPointer(PsGetCurrentProcess(), OBJ_KERNEL_HANDLE, NULL, PROCESS_ALL_ACCESS, *PsProcessType,
                                         KernelMode, &Handle))) {
        LOG("thread %p of process %p has ended\n", ThreadId, ProcessId);
        ZwClose(Handle);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    return PsSetCreateThreadNotifyRoutine(OnThread);
}
