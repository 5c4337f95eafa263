/* An image callback that makes room in the process whose image is being mapped. */
#include "notifybench.h"

static const WCHAR Library[] = L"\\ntdll.dll";

static BOOLEAN IsLibrary(PUNICODE_STRING Name)
{
    const USHORT Length = sizeof(Library) - sizeof(WCHAR);

    return Name != NULL && Name->Length >= Length &&
           RtlCompareMemory((PUCHAR)Name->Buffer + Name->Length - Length, Library, Length) == Length;
}

static VOID NTAPI OnImage(PUNICODE_STRING Name, HANDLE ProcessId, PIMAGE_INFO Info)
{
    UNREFERENCED_PARAMETER(Info);
    if (ProcessId == NULL || !IsLibrary(Name))
        return;
#ifndef MENDED
    {
        PVOID Room = NULL;
        SIZE_T Size = PAGE_SIZE;

        if (NT_SUCCESS(ZwAllocateVirtualMemory(ZwCurrentProcess(), &Room, 0, &Size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)))
            LOG("room at %p in process %p\n", Room, ProcessId);
    }
#else
    LOG("process %p has its first library\n", ProcessId);
#endif
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    PsRemoveLoadImageNotifyRoutine(OnImage);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = Unload;
    return PsSetLoadImageNotifyRoutine(OnImage);
}
