/* Looks into the image's name without asking whether there is one; the documentation says it may be NULL. */
#include "../ours.h"

static VOID NTAPI OnNamedImageNotify(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    if (FullImageName->Length > 0)
        OnImageNotify(FullImageName, ProcessId, ImageInfo);
}

#define OnImageNotify OnNamedImageNotify
#include "../registration.h"
