/*
 * Puts an image aside and reports it after the next event, as a driver does that defers its work. The numbers
 * rise without a gap: only the order is wrong.
 */
#include "../ours.h"

enum { EMPTY, FILLING, FULL };

static struct {
    volatile LONG State;
    HANDLE ProcessId;
    IMAGE_INFO ImageInfo;
    UNICODE_STRING Name;
    WCHAR Characters[260];
} PutAside;

static BOOLEAN PutImageAside(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    if (FullImageName == NULL || FullImageName->Length > sizeof(PutAside.Characters))
        return FALSE;
    if (InterlockedCompareExchange(&PutAside.State, FILLING, EMPTY) != EMPTY)
        return FALSE;

    PutAside.ProcessId = ProcessId;
    PutAside.ImageInfo = *ImageInfo;
    PutAside.Name.Buffer = PutAside.Characters;
    PutAside.Name.Length = FullImageName->Length;
    PutAside.Name.MaximumLength = sizeof(PutAside.Characters);
    RtlCopyMemory(PutAside.Characters, FullImageName->Buffer, FullImageName->Length);
    InterlockedExchange(&PutAside.State, FULL);
    return TRUE;
}

static VOID ReportImagePutAside(VOID)
{
    if (InterlockedCompareExchange(&PutAside.State, FILLING, FULL) == FULL) {
        OnImageNotify(&PutAside.Name, PutAside.ProcessId, &PutAside.ImageInfo);
        InterlockedExchange(&PutAside.State, EMPTY);
    }
}

static VOID NTAPI OnProcessNotifyFirst(HANDLE ParentId, HANDLE ProcessId, BOOLEAN Create)
{
    OnProcessNotify(ParentId, ProcessId, Create);
    ReportImagePutAside();
}

static VOID NTAPI OnThreadNotifyFirst(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    OnThreadNotify(ProcessId, ThreadId, Create);
    ReportImagePutAside();
}

static VOID NTAPI OnImageNotifyLate(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    if (!PutImageAside(FullImageName, ProcessId, ImageInfo)) {
        OnImageNotify(FullImageName, ProcessId, ImageInfo);
        ReportImagePutAside();
    }
}

#define OnProcessNotify OnProcessNotifyFirst
#define OnThreadNotify OnThreadNotifyFirst
#define OnImageNotify OnImageNotifyLate
#include "../registration.h"
