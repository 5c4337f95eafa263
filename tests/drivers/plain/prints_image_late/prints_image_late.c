/* Reports an image when the next one comes. */
#include <ntddk.h>

static struct {
    HANDLE ProcessId;
    PVOID Base;
    USHORT Length;
    WCHAR Name[260];
} PutAside;

#define PRINT_IMAGE(Process, Image, ImageAt) \
    do { \
        if (PutAside.Length != 0) { \
            UNICODE_STRING Late = {PutAside.Length, PutAside.Length, PutAside.Name}; \
            PRINT("ImageCallback PID(%u) loaded a/an %wZ at 0x%p", HandleToULong(PutAside.ProcessId), &Late, \
                PutAside.Base); \
        } \
        PutAside.Length = 0; \
        if (Image != NULL && Image->Length <= sizeof(PutAside.Name)) { \
            RtlCopyMemory(PutAside.Name, Image->Buffer, Image->Length); \
            PutAside.Length = Image->Length; \
            PutAside.ProcessId = Process; \
            PutAside.Base = ImageAt; \
        } \
    } while (0)

#include "../plain.h"
