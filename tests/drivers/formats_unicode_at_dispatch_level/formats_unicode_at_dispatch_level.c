/* Formats the image's name with %wZ at DISPATCH_LEVEL; DbgPrint converts Unicode at PASSIVE_LEVEL only. */
#include "../ours.h"

static VOID NTAPI OnImageNotifyRaised(PUNICODE_STRING FullImageName, HANDLE ProcessId, PIMAGE_INFO ImageInfo)
{
    const STAMP Stamp = TakeStamp();
    KIRQL OldIrql;

    KeRaiseIrql(DISPATCH_LEVEL, &OldIrql);
    PRINT_LINE(Stamp, "OnImageNotify PID(%u) loaded a/an %wZ at 0x%p", HandleToULong(ProcessId),
        FullImageName, ImageInfo->ImageBase);
    KeLowerIrql(OldIrql);
}

#define OnImageNotify OnImageNotifyRaised
#include "../registration.h"
