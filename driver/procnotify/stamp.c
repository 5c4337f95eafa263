#include "stamp.h"

/*
 * KUSER_SHARED_DATA lies at a fixed address, so the clock costs no import and works at any IRQL.
 * InterruptTime is its second member, at offset 8 (Microsoft, ntddk.h).
 */
#if defined(_X86_)
#define INTERRUPT_TIME ((const volatile KSYSTEM_TIME *)0xFFDF0008UL)

/* The clock interrupt writes High2Time, LowPart, High1Time: the value is whole once both halves agree. */
static ULONGLONG InterruptTime(VOID)
{
    LONG High;
    ULONG Low;

    do {
        High = INTERRUPT_TIME->High1Time;
        Low = INTERRUPT_TIME->LowPart;
    } while (High != INTERRUPT_TIME->High2Time);
    return (ULONGLONG)(ULONG)High << 32 | Low;
}
#else
static ULONGLONG InterruptTime(VOID)
{
    return *(const volatile ULONGLONG *)0xFFFFF78000000008ULL;
}
#endif

static volatile LONG LastSequence;

/*
 * KeGetCurrentProcessorNumber is an inline function of the WDK on x64 (gs:[0x184]) and x86 (fs:[0x51], KPCR's
 * Number); no kernel older than Windows 7 exports KeGetCurrentProcessorNumberEx. The headers of mingw-w64
 * have no inline that is right for all three architectures.
 */
static ULONG CurrentProcessor(VOID)
{
#if defined(_AMD64_)
    ULONG Number;

    __asm__ volatile("movl %%gs:0x184, %0" : "=r"(Number));
    return Number;
#elif defined(_X86_)
    UCHAR Number;

    __asm__ volatile("movb %%fs:0x51, %0" : "=q"(Number));
    return Number;
#else
    return KeGetCurrentProcessorNumberEx(NULL);
#endif
}

STAMP TakeStamp(VOID)
{
    STAMP Stamp;

    Stamp.Sequence = (ULONG)InterlockedIncrement(&LastSequence);
    Stamp.Time = InterruptTime();
    Stamp.Processor = CurrentProcessor();
    Stamp.ProcessId = HandleToULong(PsGetCurrentProcessId());
    Stamp.ThreadId = HandleToULong(PsGetCurrentThreadId());
    return Stamp;
}
