/* Copies the image's name into pool, frees the copy, and prints it then. */
#include "../ours.h"

#define TAG 'ytlF'

static VOID NTAPI OnImageNotifyFreed(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    UNICODE_STRING Copy;

    if (FullImageName == NULL || FullImageName->Length == 0)
        return;
    Copy = *FullImageName;
    Copy.Buffer = ExAllocatePoolWithTag(NonPagedPool, Copy.Length, TAG);
    if (Copy.Buffer == NULL)
        return;
    RtlCopyMemory(Copy.Buffer, FullImageName->Buffer, Copy.Length);
    ExFreePoolWithTag(Copy.Buffer, TAG);
    OnImageNotify(&Copy, ProcessId, ImageInfo);
}

#define OnImageNotify OnImageNotifyFreed
#include "../registration.h"
